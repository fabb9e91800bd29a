import type { Change } from '../model/change.ts';
import type { Random } from '../random.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { drawTable, freeTables, fresh } from './tables.ts';

const FEWEST_TABLES = 2;
const MOST_TABLES = 10;
/** The last one is stored out of line. */
const WIDTHS = [1, 4, 120];

/** Tables, columns and indexes come and go. */
export const schema: Action = {
  name: 'schema',
  weight: 8,
  may: () => true,
  run: async (world, random) => {
    const change = drawChange(world, random);
    await world.writer.write({ database: change.database, changes: [change] });
    return `${change.kind} ${change.table}`;
  },
};

function drawChange(world: World, random: Random): Change & { database: string; table: string } {
  const tables = freeTables(world.model.now).length;
  const number = fresh(world);
  const kinds = ['create-table', 'drop-table', 'add-column', 'add-index'] as const;
  const kind = random.weighted(kinds, (each) => {
    if (each === 'create-table') return tables < MOST_TABLES ? 3 : 0;
    if (each === 'drop-table') return tables > FEWEST_TABLES ? 2 : 0;
    return tables > 0 ? 1 : 0;
  });
  if (kind === 'create-table') {
    const database = random.pick([...world.model.now.databases.keys()]);
    const width = random.pick(WIDTHS);
    return { kind, database, table: `t${number}`, width, unlogged: random.chance(15) };
  }
  const { database, table } = drawTable(world, random);
  if (kind === 'add-column')
    return { kind, database, table, column: `c${number}`, value: random.between(0, 1_000_000) };
  if (kind === 'add-index') return { kind, database, table, index: `i${number}` };
  return { kind, database, table };
}
