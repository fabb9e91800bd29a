import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, segmentName } from '../../../../workflows/model/lsn.ts';
import { historyOf, leftAt } from '../../../../workflows/model/timeline.ts';
import { rangesOf } from '../../../../workflows/model/wal-coverage.ts';
import type { TimelineHistory, WalObject } from '../../../../workflows/model/wal.ts';
import type { Run } from '../../../io/run.ts';
import type { WalVault } from '../../source.ts';
import type { Gathered } from './segments.ts';
import type { Cluster, SegmentPlace } from './stored-segment.ts';
import { storedSegment } from './stored-segment.ts';

const AGAIN_MS = 1000;

/**
 * The segment, or as much of it as the WAL of its timeline has: a server takes what is missing for the end of its WAL. What
 * is missing in front of later WAL may be on its way for `waitMs`; then it is lost, and that is said (Integrity).
 */
export async function segmentUpToEnd(
  vault: WalVault,
  { cluster, place, waitMs }: { cluster: Cluster; place: SegmentPlace; waitMs: number },
  run: Run,
): Promise<Gathered | undefined> {
  const untilMs = run.clock.nowMs() + waitMs;
  for (let look = 1; ; look++) {
    const found = await storedSegment(vault, cluster, place);
    const knownBytes = found?.knownBytes ?? 0;
    if (knownBytes === cluster.segmentBytes) return found;
    const known = formatLsn(place.start + BigInt(knownBytes));
    const later = await laterWal(vault, { cluster, place, known });
    if (later.length === 0) return found;
    // It may have come between our two looks.
    if (look === 1) continue;
    const next = behindHole(later, known);
    if (next === undefined) return found;
    if (run.clock.nowMs() >= untilMs) throw missing({ cluster, place, known }, next);
    run.log.warn(`WAL from ${known} on is not there yet, although later WAL is`);
    await run.clock.sleep(AGAIN_MS, run.signal);
  }
}

interface KnownTo {
  cluster: Cluster;
  place: SegmentPlace;
  /** Where what is known of the segment ends. */
  known: Lsn;
}

async function laterWal(vault: WalVault, at: KnownTo): Promise<WalObject[]> {
  const { systemId } = at.cluster;
  const later = await vault.list({ systemId, timeline: at.place.timeline, fromLsn: at.known });
  return later.length === 0 ? [] : countedOf(later, at, await vault.histories(systemId));
}

/** Where the WAL goes on behind a hole; undefined when it goes on where it is known to, without one. */
function behindHole(later: WalObject[], known: Lsn): Lsn | undefined {
  const [first, second] = rangesOf(later);
  return first && compareLsn(first.startLsn, known) > 0 ? first.startLsn : second?.startLsn;
}

/** Not what a timeline has behind the point where it was left in this segment, and nothing of one that begins later. */
function countedOf(later: WalObject[], { cluster, place }: KnownTo, histories: TimelineHistory[]): WalObject[] {
  const end = place.start + BigInt(cluster.segmentBytes);
  const began = historyOf(histories, place.timeline)?.ancestors.at(-1)?.switchLsn;
  if (began !== undefined && parseLsn(began) >= end) return [];
  const forks = histories.flatMap((history) => {
    const left = leftAt(history, place.timeline);
    return left !== undefined && parseLsn(left) >= place.start && parseLsn(left) <= end ? [left] : [];
  });
  return later.filter(({ startLsn }) => forks.every((left) => compareLsn(startLsn, left) < 0));
}

function missing({ cluster, place, known }: KnownTo, next: Lsn): Error {
  return failure('Integrity', `WAL from ${known} on is not in the vault, although later WAL is`, {
    place: segmentName(place.timeline, place.start, cluster.segmentBytes),
    expected: `WAL of timeline ${place.timeline} without a hole`,
    found: `next WAL at ${next}`,
    hint: 'lifeboat wal shows ranges and gaps; choose a target before it, or a base behind it',
  });
}
