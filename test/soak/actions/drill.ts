import { workflowId } from '../../../workflows/model/names.ts';
import type { DrillResult } from '../../../workflows/model/results.ts';
import { SOURCE } from '../world/runs.ts';
import type { Action } from './action.ts';
import { disturbed } from './during.ts';
import { arrived, drawWish } from './target.ts';

/** Proves a moment, and leaves nothing. */
export const drill: Action = {
  name: 'drill',
  weight: 3,
  may: ({ reach }) => reach.moments().length > 0,
  run: async (world, random) => {
    const wish = drawWish(world, random);
    await arrived(world, wish);
    const isFree = random.chance(50);
    const order = isFree ? { source: SOURCE } : { source: SOURCE, target: wish.target };
    const { result, what } = await disturbed<DrillResult>(world, random, {
      steps: ['fetchBase', 'replayWal', 'proveCluster', 'discardRestore'],
      writes: true,
      start: () => world.runs.start('drill', order, workflowId.drill(SOURCE)),
    });
    if (!result.cleaned || !result.restore.proof.ok) throw new Error(`drill: ${JSON.stringify(result).slice(0, 2000)}`);
    return `${isFree ? 'a moment of its own' : wish.what}, ${what}`;
  },
};
