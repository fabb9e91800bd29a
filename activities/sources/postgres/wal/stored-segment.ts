import { isFailure } from '../../../../workflows/model/failure.ts';
import { compareLsn, formatLsn } from '../../../../workflows/model/lsn.ts';
import { historyOf } from '../../../../workflows/model/timeline.ts';
import type { WalVault } from '../../source.ts';
import type { Gathered } from './segments.ts';
import { gatherSegment } from './segments.ts';

export interface SegmentPlace {
  timeline: number;
  start: bigint;
}

export interface Cluster {
  systemId: string;
  segmentBytes: number;
}

/** A segment is compacted once; what is missing in three lists was lost. */
const LOOKS = 3;

/**
 * One segment of the stored WAL as it is now, listing no more than its own pieces: for whoever wants one, and asks again
 * later. Undefined when nothing of it is stored.
 */
export async function storedSegment(
  vault: WalVault,
  cluster: Cluster,
  place: SegmentPlace,
): Promise<Gathered | undefined> {
  for (let look = 1; ; look++) {
    try {
      return await gather(vault, cluster, place);
    } catch (error) {
      if (!isFailure(error, 'NotFound') || look === LOOKS) throw error;
    }
  }
}

async function gather(
  vault: WalVault,
  { systemId, segmentBytes }: Cluster,
  { timeline, start }: SegmentPlace,
): Promise<Gathered | undefined> {
  const [fromLsn, toLsn] = [formatLsn(start), formatLsn(start + BigInt(segmentBytes))];
  const own = await vault.list({ systemId, timeline, fromLsn, toLsn });
  const [first] = own;
  if (!first) return undefined;
  // Only the first segment of a timeline begins with what its parent wrote.
  const histories = compareLsn(first.startLsn, fromLsn) > 0 ? await vault.histories(systemId) : [];
  const parent = historyOf(histories, timeline)?.ancestors.at(-1)?.timeline;
  const theirs = parent === undefined ? [] : await vault.list({ systemId, timeline: parent, fromLsn, toLsn });
  return gatherSegment(vault, [...own, ...theirs], { timeline, start: fromLsn, segmentBytes, histories });
}
