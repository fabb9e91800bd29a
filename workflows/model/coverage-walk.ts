import type { Lsn } from './lsn.ts';
import { compareLsn, formatLsn, parseLsn, segmentStart } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import type { WalLeg } from './recovery.ts';
import { isOnHistory } from './timeline.ts';
import type { TimelineHistory, WalRange } from './wal.ts';

/** What the vault holds of one cluster. */
export interface Holdings {
  points: readonly PointSummary[];
  /** Points that those may stand on; absent: they themselves. */
  links?: readonly PointSummary[];
  ranges: readonly WalRange[];
  histories: readonly TimelineHistory[];
}

/** How far a base can be replayed towards a timeline without a hole. */
export interface Walk {
  legs: WalLeg[];
  /** Timeline and position where the WAL in the vault ends. */
  timeline: number;
  toLsn: Lsn;
  /** Newest commit known on the way, ISO 8601 UTC with microseconds. */
  to?: string;
  /** True when it ends before the wanted timeline begins, or in front of a hole. */
  broken: boolean;
}

/**
 * Follows the WAL from a base's start to the end of a timeline. A switch goes on in the segment that holds the switch
 * point: the server copies its beginning to the new timeline (xlog.c, XLogInitNewTimeline), so the old one is needed up to
 * that segment only. undefined when the base is no part of the timeline's history.
 */
export function walkFrom(base: PointSummary, history: TimelineHistory, ranges: readonly WalRange[]): Walk | undefined {
  if (!isOnHistory(history, base.timeline, base.stopLsn)) return undefined;
  const walk: Walk = { legs: [], timeline: base.timeline, toLsn: base.startLsn, broken: true };
  for (const leg of legsOf(base, history)) {
    const range = holding(ranges, leg.timeline, leg.fromLsn);
    if (!range) return walk;
    const reaches = leg.toLsn === undefined || compareLsn(range.endLsn, leg.toLsn) >= 0;
    const toLsn = reaches && leg.toLsn !== undefined ? leg.toLsn : range.endLsn;
    walk.legs.push({ timeline: leg.timeline, fromLsn: leg.fromLsn, toLsn });
    Object.assign(walk, { timeline: leg.timeline, toLsn });
    if (range.lastCommitAt !== undefined && endsHere(range, leg, base)) walk.to = range.lastCommitAt;
    if (!reaches) return walk;
  }
  const isNewest = !ranges.some(
    (range) => range.timeline === walk.timeline && compareLsn(range.startLsn, walk.toLsn) > 0,
  );
  return { ...walk, broken: !isNewest };
}

/** False when a timeline was written on after it was left: its newest commit may stand behind the switch. */
function endsHere(range: WalRange, leg: OpenLeg, { segmentBytes }: PointSummary): boolean {
  return leg.toLsn === undefined || parseLsn(range.endLsn) <= parseLsn(leg.toLsn) + BigInt(segmentBytes);
}

interface OpenLeg {
  timeline: number;
  fromLsn: Lsn;
  /** Absent for the last one. */
  toLsn?: Lsn;
}

function legsOf(base: PointSummary, history: TimelineHistory): OpenLeg[] {
  const legs: OpenLeg[] = [];
  let fromLsn = aligned(base.startLsn, base.segmentBytes);
  for (const step of history.ancestors) {
    if (step.timeline < base.timeline || compareLsn(step.switchLsn, base.startLsn) < 0) continue;
    const toLsn = aligned(step.switchLsn, base.segmentBytes);
    if (compareLsn(fromLsn, toLsn) < 0) legs.push({ timeline: step.timeline, fromLsn, toLsn });
    fromLsn = compareLsn(toLsn, fromLsn) > 0 ? toLsn : fromLsn;
  }
  return [...legs, { timeline: history.timeline, fromLsn }];
}

function aligned(lsn: Lsn, segmentBytes: number): Lsn {
  return formatLsn(segmentStart(parseLsn(lsn), segmentBytes));
}

function holding(ranges: readonly WalRange[], timeline: number, lsn: Lsn): WalRange | undefined {
  return ranges.find(
    (range) => range.timeline === timeline && compareLsn(range.startLsn, lsn) <= 0 && compareLsn(range.endLsn, lsn) > 0,
  );
}
