import type { Run } from '../../../io/run.ts';
import type { LogShipping } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { commitsFrom } from './commits.ts';
import { walFile } from './fetch-file.ts';
import { compactWal } from './compact.ts';
import { findTarget } from './find.ts';
import { receiveArchive } from './archive/agent.ts';
import { shipWal } from './shipper.ts';
import { dropUnread } from './drop-slot.ts';
import { walStatus } from './status.ts';
import { checkHistories } from './verify/histories.ts';
import { checkWal, storedSegmentBytes } from './verify/index.ts';

export { assembleSegment } from './segments.ts';

export function createLogShipping(name: string, options: PostgresOptions, run: Run): LogShipping {
  return {
    ship: async (vault, ship) => {
      const { archive } = ship;
      await (archive
        ? receiveArchive({ options, ship: { ...ship, archive }, vault, run })
        : shipWal({ options, ship, vault, run }));
    },
    find: (vault, search) => findTarget(vault, search, run),
    file: (vault, wish) => walFile(vault, wish, run),
    commits: (vault, search) => commitsFrom(vault, search, run),
    segmentBytes: storedSegmentBytes,
    checkHistories,
    check: (vault, check) => checkWal(vault, check, run),
    compact: (vault, order) => compactWal(vault, order, run),
    dropSlot: (vault, at) => dropUnread(at, { options, vault, run }),
    status: (vault, at) => walStatus({ name, options, vault, run, ...at }),
  };
}
