import { formatDuration } from '../../../workflows/model/units.ts';
import { defineSwitch } from '../switch.ts';
import { checkPooler } from './check.ts';
import { confirm } from './confirm.ts';
import { placeOf } from './console.ts';
import { move } from './move.ts';
import type { Options, Use } from './options.ts';
import { schema } from './options.ts';
import { look } from './state.ts';

/**
 * Entries of a PgBouncer, led elsewhere by its console and the file that holds them. While traffic is stopped clients wait in
 * the pooler, and nothing of theirs is lost; the file leads nowhere then, so that this outlives a pooler that is started anew.
 * The token stands in the file, too. One pooler is one switch; it is moved by a worker on its host.
 */
export const pgbouncerSwitch = defineSwitch<Options>({
  kind: 'pgbouncer',
  schema,
  onHost: 'the file with its entries',
  describe: (options) => `${options.databases.join(', ')} of ${placeOf({ name: '', options })}`,
  weighted: () => false,
  words: ({ drain, afterDrain }) => {
    const then = afterDrain === 'kill' ? 'then who is in a transaction is cut off' : 'or nothing is moved';
    return { stopped: `its clients wait; transactions have ${formatDuration(drain)} to end, ${then}` };
  },
  open: (name, options, run) => {
    const use: Use = { name, options };
    return {
      where: async () => (await look(use, run)).observed,
      move: (order) => move(use, order, run),
      confirm: (to) => confirm(use, to, run),
      check: () => checkPooler(use, run),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
});
