import type { Lsn } from './lsn.ts';
import { compareLsn, lsnDistanceBytes, parseLsn } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import type { ReachableWindow } from './recovery.ts';
import { windowsOf } from './reachable.ts';
import { firstNeeded } from './retention-good.ts';
import type { TimelineHistory, WalObject } from './wal.ts';
import { gapsOf, rangeHolding, rangesOf } from './wal-coverage.ts';
import type { ForkGap } from './wal-forks.ts';
import { forkGapsOf } from './wal-forks.ts';

/** An object that is not what it should be, and the WAL that cannot be relied on for it. */
export interface WalFault {
  /** Key in the store, also of what is missing. */
  place: string;
  timeline: number;
  fromLsn: Lsn;
  toLsn: Lsn;
  what: string;
  expected: string;
  found: string;
}

/** WAL that is not stored between two ranges of one timeline, or where it follows another or is followed. */
export interface FoundHole {
  systemId: string;
  timeline: number;
  fromLsn: Lsn;
  toLsn: Lsn;
  bytes: number;
  /** Newest commit in front of it, ISO 8601 UTC with microseconds. */
  after?: string;
  /** End of the oldest base behind it: from then on moments can be reached again. Absent: there is none. */
  until?: string;
}

/** Moments that could be restored if nothing was wrong: [fromLsn, toLsn] of a timeline. */
export interface LostMoments {
  timeline: number;
  fromLsn: Lsn;
  toLsn: Lsn;
  /** ISO 8601 UTC. */
  from: string;
  to: string;
}

/** What reading the stored WAL of a source found. */
export interface WalVerified {
  source: string;
  /** True when nothing is damaged, every point has its WAL, and there is a base behind every hole. */
  ok: boolean;
  objects: number;
  storedBytes: number;
  /** Plaintext. */
  walBytes: number;
  records: number;
  timelines: number;
  points: number;
  /** The first of them; `reports` has all when there are more. */
  faults: WalFault[];
  faultCount: number;
  /** Keys in the store. */
  reports: string[];
  holes: FoundHole[];
  holeCount: number;
  lost: LostMoments[];
  /** Points that lack WAL that makes them consistent. */
  unusable: { point: string; reason: string }[];
  unusableCount: number;
}

/** Shown of each list. */
export const WAL_TOLD = 20;

/** What of one cluster's WAL can be relied on. */
export interface CheckedCluster {
  systemId: string;
  segmentBytes: number;
  points: readonly PointSummary[];
  objects: readonly WalObject[];
  histories: readonly TimelineHistory[];
  /** Keys of objects that are not what they should be. */
  bad: ReadonlySet<string>;
}

export type WalVerdict = Pick<WalVerified, 'holes' | 'lost' | 'unusable'>;

/** What holes and damage of a cluster's WAL cost. */
export function verdictOf(cluster: CheckedCluster): WalVerdict {
  const { points, objects, bad, histories } = cluster;
  const good = bad.size === 0 ? [...objects] : objects.filter(({ key }) => !bad.has(key));
  const [all, left] = [rangesOf([...objects]), rangesOf(good)];
  const before = windowsOf({ points, ranges: all, histories });
  const after = bad.size === 0 ? before : windowsOf({ points, ranges: left, histories });
  return {
    holes: holesOf(cluster),
    lost: lostOf(before, after),
    unusable: points.flatMap((point) => {
      if (point.dump) return [];
      const [{ timeline, stopLsn: to }, from] = [point, firstNeeded(point)];
      if (rangeHolding(left, timeline, { from, to })) return [];
      const how = rangeHolding(all, timeline, { from, to }) ? 'is damaged' : 'is not in the vault';
      return [
        {
          point: point.point,
          reason: `WAL ${from} to ${to} of timeline ${timeline}, without which it is not consistent, ${how}`,
        },
      ];
    }),
  };
}

function holesOf({ systemId, points, objects, ...rest }: CheckedCluster): FoundHole[] {
  const ranges = rangesOf([...objects]);
  const inside = gapsOf(ranges).map((gap): ForkGap => {
    const after = ranges.find(
      ({ timeline, endLsn }) => timeline === gap.timeline && endLsn === gap.fromLsn,
    )?.lastCommitAt;
    return after === undefined ? gap : { ...gap, after };
  });
  return [...inside, ...forkGapsOf({ points, ranges, ...rest })].map((gap) => {
    const [next] = points
      .filter((point) => !point.dump && point.timeline >= gap.timeline && isFrom(point, gap.toLsn))
      .map(({ stoppedAt }) => stoppedAt)
      .sort();
    return { systemId, ...gap, ...(next === undefined ? {} : { until: next }) };
  });
}

/** Whether all WAL that a point needs begins there or behind. */
function isFrom(point: PointSummary, lsn: Lsn): boolean {
  return compareLsn(firstNeeded(point), lsn) >= 0;
}

interface Span {
  from: bigint;
  to: bigint;
  fromLsn: Lsn;
  toLsn: Lsn;
  since: string;
  until: string;
}

/** What the windows before have and those after do not, timeline by timeline. */
function lostOf(before: readonly ReachableWindow[], after: readonly ReachableWindow[]): LostMoments[] {
  const timelines = [...new Set(before.map(({ timeline }) => timeline))].sort((a, b) => a - b);
  return timelines.flatMap((timeline) => {
    const left = spansOf(after, timeline);
    return spansOf(before, timeline).flatMap((span) => without(span, left).map((lost) => ({ timeline, ...lost })));
  });
}

/** Joined, ascending. */
function spansOf(windows: readonly ReachableWindow[], timeline: number): Span[] {
  const spans: Span[] = [];
  const own = windows
    .filter((window) => window.timeline === timeline)
    .map(({ fromLsn, toLsn, from, to = from }) => ({
      ...{ from: parseLsn(fromLsn), to: parseLsn(toLsn), fromLsn, toLsn, since: from, until: to },
    }))
    .sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  for (const span of own) {
    const last = spans.at(-1);
    if (!last || span.from > last.to) spans.push(span);
    else if (span.to > last.to) Object.assign(last, { to: span.to, toLsn: span.toLsn, until: span.until });
  }
  return spans;
}

function without(span: Span, left: readonly Span[]): Omit<LostMoments, 'timeline'>[] {
  const lost: Omit<LostMoments, 'timeline'>[] = [];
  let at = { position: span.from, lsn: span.fromLsn, time: span.since };
  for (const kept of left) {
    if (kept.to < at.position || kept.from > span.to) continue;
    if (kept.from > at.position) lost.push({ fromLsn: at.lsn, toLsn: kept.fromLsn, from: at.time, to: kept.since });
    at = { position: kept.to, lsn: kept.toLsn, time: kept.until };
  }
  if (at.position < span.to) lost.push({ fromLsn: at.lsn, toLsn: span.toLsn, from: at.time, to: span.until });
  return lost.filter(({ fromLsn, toLsn }) => lsnDistanceBytes(fromLsn, toLsn) > 0);
}
