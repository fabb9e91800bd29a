import type { Holdings } from './coverage-walk.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn, segmentStart } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import { isOnHistory } from './timeline.ts';
import type { TimelineHistory, WalRange, WalStatus } from './wal.ts';
import { rangeHolding } from './wal-coverage.ts';

type ForkFacts = Pick<Holdings, 'points' | 'ranges' | 'histories'> & { segmentBytes: number };

export type ForkGap = WalStatus['gaps'][number] & {
  /** Newest commit known in front of it. */
  after?: string;
};

/** What a history wants of one timeline: from the segment in which it began to that in which it was left. */
interface Stretch {
  timeline: number;
  parent?: { timeline: number; switchLsn: Lsn };
  fromLsn?: Lsn;
  toLsn?: Lsn;
  own: WalRange[];
  /** WAL of a timeline that came later is stored. */
  isFollowed: boolean;
}

/**
 * Holes where one timeline goes over into the next, which no timeline's own ranges show: the end of the one that was left,
 * up to the segment of the switch, and the beginning of the one that begins there. What no point needs that begins in
 * front of it is none: retention removes such ends.
 */
export function forkGapsOf(facts: ForkFacts): ForkGap[] {
  const found = new Map<string, ForkGap>();
  for (const history of facts.histories) {
    for (const stretch of stretchesOf(history, facts)) {
      for (const gap of [headOf(stretch, facts), tailOf(stretch)]) {
        if (!gap || !isNeeded(gap, history, facts.points)) continue;
        found.set(`${gap.timeline} ${gap.fromLsn} ${gap.toLsn}`, gap);
      }
    }
  }
  return [...found.values()];
}

function stretchesOf({ timeline, ancestors }: TimelineHistory, { ranges, segmentBytes }: ForkFacts): Stretch[] {
  const segmentOf = (lsn: Lsn): Lsn => formatLsn(segmentStart(parseLsn(lsn), segmentBytes));
  const way = [...ancestors.map((step) => step.timeline), timeline];
  return way.map((each, index) => {
    const [parent, left] = [ancestors[index - 1], ancestors[index]];
    const later = new Set(way.slice(index + 1));
    return {
      timeline: each,
      ...(parent ? { parent, fromLsn: segmentOf(parent.switchLsn) } : {}),
      ...(left ? { toLsn: segmentOf(left.switchLsn) } : {}),
      own: ranges.filter((range) => range.timeline === each),
      isFollowed: ranges.some((range) => later.has(range.timeline)),
    };
  });
}

/** Up to the switch its parent may have the bytes of the first segment, as long as its own go on from there. */
function headOf(
  { timeline, parent, fromLsn, toLsn, own, isFollowed }: Stretch,
  { ranges, segmentBytes }: ForkFacts,
): ForkGap | undefined {
  if (!parent || fromLsn === undefined) return undefined;
  const first = own[0]?.startLsn ?? (isFollowed ? toLsn : undefined);
  if (first === undefined || compareLsn(first, fromLsn) <= 0) return undefined;
  const { switchLsn } = parent;
  const shared = compareLsn(first, switchLsn) < 0 ? first : switchLsn;
  const isShared = rangeHolding([...ranges], parent.timeline, { from: fromLsn, to: shared }) !== undefined;
  const limit = parseLsn(fromLsn) + BigInt(segmentBytes);
  const before = ranges.find(
    (range) =>
      range.timeline === parent.timeline && compareLsn(range.endLsn, fromLsn) >= 0 && parseLsn(range.endLsn) <= limit,
  );
  return gapOf(timeline, { from: isShared ? switchLsn : fromLsn, to: first }, before);
}

/** Where ranges of its own come later it is a hole among them. */
function tailOf({ timeline, toLsn, own, isFollowed }: Stretch): ForkGap | undefined {
  const last = own.at(-1);
  if (!last || toLsn === undefined || !isFollowed) return undefined;
  return gapOf(timeline, { from: last.endLsn, to: toLsn }, last);
}

function gapOf(timeline: number, { from, to }: { from: Lsn; to: Lsn }, before?: WalRange): ForkGap | undefined {
  if (compareLsn(from, to) >= 0) return undefined;
  const after = before?.lastCommitAt;
  const gap = { timeline, fromLsn: from, toLsn: to, bytes: lsnDistanceBytes(from, to) };
  return after === undefined ? gap : { ...gap, after };
}

function isNeeded({ timeline, toLsn }: ForkGap, history: TimelineHistory, points: readonly PointSummary[]): boolean {
  return points.some(
    (point) =>
      !point.dump &&
      point.timeline <= timeline &&
      compareLsn(point.startLsn, toLsn) < 0 &&
      isOnHistory(history, point.timeline, point.stopLsn),
  );
}
