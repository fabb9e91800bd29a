import { HOME } from '../model/change.ts';
import type { Action } from './action.ts';
import { fresh } from './tables.ts';

const MOST_DATABASES = 4;

/** A database comes with a table in it, or goes with all that it holds. */
export const database: Action = {
  name: 'database',
  weight: 3,
  may: () => true,
  run: async (world, random) => {
    const { databases, prepared } = world.model.now;
    const busy = new Set([...prepared.values()].map((each) => each.database));
    const others = [...databases.keys()].filter((name) => name !== HOME && !busy.has(name));
    if (others.length > 0 && (databases.size > MOST_DATABASES || random.chance(40))) {
      const gone = random.pick(others);
      await world.writer.single({ kind: 'drop-database', database: gone });
      return `drop ${gone}`;
    }
    if (databases.size > MOST_DATABASES) return 'none: prepared transactions hold them all';
    const made = `d${fresh(world)}`;
    await world.writer.single({ kind: 'create-database', database: made });
    const table = `t${fresh(world)}`;
    const create = { kind: 'create-table', database: made, table, width: 2, unlogged: false } as const;
    const insert = { kind: 'insert', database: made, table, from: 1, count: random.between(1, 500) } as const;
    await world.writer.write({ database: made, changes: [create, insert] });
    return `create ${made}`;
  },
};
