import type { Run } from '../../../io/run.ts';
import type { ForensicCopying } from '../../forensic-copying.ts';
import type { PostgresOptions } from '../options.ts';
import { copyDownServer } from './copy.ts';
import { factsOf, findDownServer } from './down-server.ts';

export function createForensicCopying(options: PostgresOptions, run: Run): ForensicCopying {
  return {
    find: async (wish) => factsOf(await findDownServer(options, wish)),
    copy: (out, wish) => copyDownServer(options, { out, wish, run }),
  };
}
