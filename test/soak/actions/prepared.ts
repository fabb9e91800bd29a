import type { Change } from '../model/change.ts';
import type { Action } from './action.ts';
import { drawPattern, drawRows, drawTable, fresh, hasFreeTable } from './tables.ts';

const MOST_PREPARED = 3;

/** Two-phase commit: begun now, finished or given up some actions later. */
export const prepared: Action = {
  name: 'prepared',
  weight: 6,
  may: (world) => hasFreeTable(world) || world.model.now.prepared.size > 0,
  run: async (world, random) => {
    const pending = [...world.model.now.prepared];
    const isFull = pending.length >= MOST_PREPARED || !hasFreeTable(world);
    if (pending.length > 0 && (isFull || random.chance(50))) {
      const [gid, { database }] = random.pick(pending);
      const kind = random.chance(70) ? 'commit-prepared' : 'rollback-prepared';
      await world.writer.single({ kind, gid, database });
      return `${kind} ${gid}`;
    }
    const free = drawTable(world, random);
    const { database, table } = free;
    const changes: Change[] = [{ kind: 'insert', database, table, ...drawRows(free, random, 300) }];
    changes.push(
      random.chance(30)
        ? { kind: 'truncate', database, table }
        : { kind: 'update', database, table, ...drawPattern(random) },
    );
    const gid = `soak_${fresh(world)}`;
    await world.writer.prepare({ database, changes }, gid);
    return `prepare ${gid}: ${changes.map((change) => change.kind).join(', ')} in ${table}`;
  },
};
