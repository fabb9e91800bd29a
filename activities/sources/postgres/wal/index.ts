import type { Run } from '../../../io/run.ts';
import type { LogShipping } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { findTarget } from './find.ts';
import { shipWal } from './shipper.ts';
import { walStatus } from './status.ts';

export { assembleSegment } from './segments.ts';

export function createLogShipping(name: string, options: PostgresOptions, run: Run): LogShipping {
  return {
    ship: (vault, ship) => shipWal({ options, ship, vault, run }),
    find: (vault, search) => findTarget(vault, search, run),
    status: (vault, at) => walStatus({ name, options, vault, run, ...at }),
  };
}
