import { workflowId } from '../../../workflows/model/names.ts';
import type { RetentionResult } from '../../../workflows/model/retention-result.ts';
import { KEPT_FULLS } from '../world/config.ts';
import { SOURCE } from '../world/runs.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { disturbed } from './during.ts';
import { verifyPoint } from './verify.ts';

/** With a window of no time: the newest point stays with all that was written behind it, and so do the newest full ones. */
export const retention: Action = {
  name: 'retention',
  weight: 3,
  may: ({ bases }) => bases.filter(({ isFull }) => isFull).length > KEPT_FULLS,
  run: async (world, random) => {
    const { result, what } = await disturbed<RetentionResult>(world, random, {
      steps: ['planRetention', 'removePoints', 'removeWal'],
      writes: true,
      start: () => world.runs.start('retention', { source: SOURCE }, workflowId.retention(SOURCE)),
    });
    if (result.dryRun) throw new Error('a retention that was ordered was a dry run');
    const there = await pointsWithParts(world);
    const gone = mustStay(world).filter((point) => !there.has(point));
    if (gone.length > 0) throw new Error(`retention removed what it has to keep: ${gone.join(', ')}`);
    const left = result.preview.remove.filter(({ point }) => there.has(point));
    if (left.length > 0) throw new Error(`retention left what it removed: ${JSON.stringify(left)}`);
    forget(world);
    for (const point of world.points) await verifyPoint(world, point);
    world.counts.pointsRemoved += result.points.count;
    return `${result.points.count} points and ${result.wal.objects} WAL objects, ${what}`;
  },
};

function mustStay({ bases }: World): string[] {
  const fulls = bases.filter(({ isFull }) => isFull).slice(-KEPT_FULLS);
  return [...fulls, ...bases.slice(-1)].map(({ point }) => point);
}

/** In place of the manifest of a point that was removed a notice stays for a month: its parts tell. */
async function pointsWithParts({ store }: World): Promise<Set<string>> {
  const points = (await store.keys()).map((key) => /^[^/]+\/points\/([^/]+)\/p\d+$/.exec(key)?.[1]);
  return new Set(points.filter((point) => point !== undefined));
}

/** Which others are still there depends on what was restored and verified: nobody counts on them. */
function forget(world: World): void {
  const [newest] = world.bases.slice(-1);
  if (!newest) return;
  const stay = new Set(mustStay(world));
  world.points.splice(0, world.points.length, ...world.points.filter((point) => stay.has(point)));
  world.reach.agedOut(newest.moment, newest.startLsn);
}
