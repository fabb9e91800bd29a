import type { Holdings } from '../workflows/model/coverage-walk.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import type { TimelineHistory, WalObject, WalRange, WalStatus } from '../workflows/model/wal.ts';
import { gapsOf, rangesOf } from '../workflows/model/wal-coverage.ts';
import type { Vault } from './vault/vault.ts';

export interface ClusterHoldings extends Holdings {
  points: PointSummary[];
  ranges: WalRange[];
  histories: TimelineHistory[];
  objects: WalObject[];
  gaps: WalStatus['gaps'];
}

/** All that the vault has of one cluster; points of another cluster under the same name are left out. */
export async function holdingsOf(
  vault: Vault,
  { systemId, points }: { systemId: string; points: PointSummary[] },
): Promise<ClusterHoldings> {
  const [objects, histories] = await Promise.all([vault.wal.list({ systemId }), vault.wal.histories(systemId)]);
  const ranges = rangesOf(objects);
  const own = points.filter((point) => point.systemId === systemId);
  return { points: own, ranges, histories, objects, gaps: gapsOf(ranges) };
}
