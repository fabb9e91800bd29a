import type { Action } from './action.ts';
import { drawTable, hasFreeTable } from './tables.ts';

/** VACUUM FULL: every file of a table is another one, and nothing has changed. */
export const rewrite: Action = {
  name: 'vacuum full',
  weight: 3,
  may: hasFreeTable,
  run: async (world, random) => {
    const { database, table } = drawTable(world, random);
    await world.writer.single({ kind: 'rewrite', database, table });
    return table;
  },
};
