import type { Change } from '../model/change.ts';
import type { Action } from './action.ts';
import { drawPattern, drawRows, drawTable, freeTables, fresh, hasFreeTable, hasRoom } from './tables.ts';

const MOST_ROWS = 12_000;

/** Many rows in several tables of one database in one transaction, part of which is undone to a savepoint. */
export const bigTransaction: Action = {
  name: 'big transaction',
  weight: 4,
  may: (world) => hasFreeTable(world) && hasRoom(world),
  run: async (world, random) => {
    const { database } = drawTable(world, random);
    const tables = freeTables(world.model.now).filter((free) => free.database === database);
    const changes = tables.slice(0, 3).map((free): Change => {
      return { kind: 'insert', database, table: free.table, ...drawRows(free, random, MOST_ROWS) };
    });
    const last = random.pick(tables);
    const undone: Change[] = [
      { kind: 'update', database, table: last.table, ...drawPattern(random) },
      { kind: 'truncate', database, table: last.table },
    ];
    const isAbandoned = random.chance(25);
    if (isAbandoned) await world.writer.abandon({ database, changes });
    else await world.writer.write({ database, changes, undone, name: `soak_${fresh(world)}` });
    return `${changes.length} tables${isAbandoned ? ', rolled back' : ''}`;
  },
};
