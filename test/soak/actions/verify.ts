import { workflowId } from '../../../workflows/model/names.ts';
import type { VerifyResult } from '../../../workflows/model/results.ts';
import { SOURCE } from '../world/runs.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { disturbed } from './during.ts';

/** Any published point is whole, whatever happens while it is read. */
export const verify: Action = {
  name: 'verify',
  weight: 3,
  may: ({ points }) => points.length > 0,
  run: async (world, random) => {
    const point = random.pick(world.points);
    const { what } = await disturbed(world, random, {
      steps: ['verifyPoint'],
      writes: true,
      start: () => startVerify(world, point),
    });
    world.counts.pointsVerified += 1;
    return `point ${world.points.indexOf(point) + 1}, ${what}`;
  },
};

const startVerify = ({ runs }: World, point: string): ReturnType<World['runs']['start']> =>
  runs.start<VerifyResult>('verify', { source: SOURCE, point }, workflowId.verify(SOURCE, point));

/** Fails when a byte of it is not what was written. */
export async function verifyPoint(world: World, point: string): Promise<void> {
  await (
    await startVerify(world, point)
  ).result;
  world.counts.pointsVerified += 1;
}
