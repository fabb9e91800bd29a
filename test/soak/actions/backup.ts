import type { PointSummary } from '../../../workflows/model/manifest.ts';
import { POINT_KINDS } from '../../../workflows/model/manifest.ts';
import { workflowId } from '../../../workflows/model/names.ts';
import type { Random } from '../random.ts';
import { SOURCE } from '../world/runs.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { disturbed } from './during.ts';
import { verifyPoint } from './verify.ts';

const WEIGHTS = { full: 3, incremental: 6, differential: 3 } as const;

/** Full, incremental or differential; what is published is read back to its last byte. */
export const backup: Action = {
  name: 'backup',
  weight: 12,
  may: () => true,
  run: async (world, random) => {
    const type = random.weighted(POINT_KINDS, (kind) => WEIGHTS[kind]);
    const { point, what } = await takeBackup(world, random, type);
    return `${type}${point.kind === type ? '' : ` became ${point.kind}`}, ${what}`;
  },
};

export async function takeBackup(
  world: World,
  random: Random,
  type: PointSummary['kind'],
): Promise<{ point: PointSummary; what: string }> {
  const order = { source: SOURCE, type };
  const { result: point, what } = await disturbed<PointSummary>(world, random, {
    steps: ['takeBackup', 'takeBackup', 'awaitWal', 'publishPoint'],
    writes: true,
    start: () => world.runs.start('backup', order, workflowId.backup(SOURCE)),
  });
  if (point.kind !== type) {
    if (point.kind !== 'full' || point.fallback === undefined)
      throw new Error(`a backup ordered as ${type} is ${point.kind} and does not say why`);
    world.counts.fallback(point.fallback.replaceAll(/\d{8}T\d{6}Z-\w+-\d+|\b[0-9A-F]+\/[0-9A-F]+\b/g, '...'));
  }
  world.points.push(point.point);
  const { startLsn, kind } = point;
  world.bases.push({ point: point.point, isFull: kind === 'full', startLsn, moment: world.model.moments.length });
  world.reach.based();
  await verifyPoint(world, point.point);
  return { point, what };
}
