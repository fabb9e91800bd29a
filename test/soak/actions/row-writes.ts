import type { Change } from '../model/change.ts';
import type { Random } from '../random.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import type { Free } from './tables.ts';
import { drawPattern, drawRows, drawTable, fresh, hasFreeTable, hasRoom } from './tables.ts';

const MOST_TRANSACTIONS = 4;

/** Several small transactions of one kind, some with a restore point behind them. */
function writesOf(name: string, weight: number, draw: (free: Free, random: Random) => Change): Action {
  return {
    ...{ name, weight },
    may: (world) => hasFreeTable(world) && (name !== 'insert' || hasRoom(world)),
    run: async (world, random) => {
      const transactions = random.between(1, MOST_TRANSACTIONS);
      for (let at = 0; at < transactions; at++) await writeOne(world, random, draw);
      return `${transactions} transactions`;
    },
  };
}

async function writeOne(world: World, random: Random, draw: (free: Free, random: Random) => Change): Promise<void> {
  const free = drawTable(world, random);
  const named = random.chance(30) ? { name: `soak_${fresh(world)}` } : {};
  await world.writer.write({ database: free.database, changes: [draw(free, random)], ...named });
}

const named = ({ database, table }: Free): { database: string; table: string } => ({ database, table });

export const insert = writesOf('insert', 14, (free, random) => ({
  ...{ kind: 'insert', ...named(free), ...drawRows(free, random) },
}));
export const update = writesOf('update', 10, (free, random) => ({
  ...{ kind: 'update', ...named(free), ...drawPattern(random) },
}));
export const remove = writesOf('delete', 6, (free, random) => ({
  ...{ kind: 'delete', ...named(free), ...drawPattern(random) },
}));
export const truncate = writesOf('truncate', 2, (free) => ({ kind: 'truncate', ...named(free) }));
