import { workflowId } from '../../../workflows/model/names.ts';
import type { RestoreResult } from '../../../workflows/model/recovery.ts';
import type { Random } from '../random.ts';
import { compareCopy } from '../world/compare.ts';
import { discardCopies } from '../world/copies.ts';
import { SOURCE } from '../world/runs.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { disturbed } from './during.ts';
import type { Wish } from './target.ts';
import { arrived, drawWish, newest } from './target.ts';

/** A copy as of a random acknowledged moment is the model as of that moment, row by row. */
export const restore: Action = {
  name: 'restore',
  weight: 16,
  may: ({ reach }) => reach.moments().length > 0,
  run: async (world, random) => {
    const wish = await drawReady(world, random);
    // At the end of WAL there is nothing to pause at.
    const action = random.chance(20) && wish.target.kind !== 'latest' ? 'pause' : 'promote';
    const { result, what } = await disturbed<RestoreResult>(world, random, {
      steps: ['fetchBase', 'fetchBase', 'replayWal', 'openCluster', 'proveCluster', 'finishRestore'],
      // What the newest moment is must not change under it.
      writes: wish.target.kind !== 'latest',
      start: () =>
        world.runs.start('restore', { source: SOURCE, target: wish.target, action }, workflowId.restore(SOURCE)),
    });
    if (!result.proof.ok) throw new Error(`the restore was given back without proof: ${JSON.stringify(result.proof)}`);
    const { tables, rows } = await compareCopy(world, result, wish);
    await discardCopies(world);
    return `${wish.what}, ${action}, ${what}: ${tables} tables, ${rows} rows`;
  },
};

/** Resolves when the vault holds what it takes to get there. */
async function drawReady(world: World, random: Random): Promise<Wish> {
  const isNewest = random.chance(15);
  const drawn = drawWish(world, random);
  if (!isNewest) {
    await arrived(world, drawn);
    return drawn;
  }
  const seen = world.orders.seen;
  const [row] = await world.server.sql('select pg_current_wal_insert_lsn()::text as lsn');
  const wish = { ...newest(world, seen), lsn: String(row?.['lsn']) };
  await arrived(world, wish);
  return wish;
}
