import type { Holdings } from './coverage-walk.ts';
import type { Lsn } from './lsn.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import { routesTo, timelinesOf } from './reachable.ts';
import { firstNeeded } from './retention-good.ts';
import type { WalObject } from './wal.ts';

/** [from, to] of one timeline. */
interface Stretch {
  timeline: number;
  from: bigint;
  to: bigint;
}

export interface NeededWal {
  stretches: Stretch[];
  keepFrom: { timeline: number; lsn: Lsn }[];
  /** Before it a newer kept point makes the WAL of a timeline needless; a timeline that is not here has none. */
  superseded: Map<number, bigint>;
}

/**
 * What WAL the kept points (`points`) need: each the stretch that makes it consistent; those that are `lasting` all that
 * follows on every way from them.
 */
export function neededWal(holdings: Holdings, lasting: ReadonlySet<string>): NeededWal {
  const stretches = holdings.points.map(ownStretch);
  const from = new Map<number, bigint>();
  const lower = (timeline: number, lsn: bigint): void => {
    from.set(timeline, lsn < (from.get(timeline) ?? lsn) ? lsn : (from.get(timeline) ?? lsn));
  };
  const bases = holdings.points.filter(({ point }) => lasting.has(point));
  for (const base of bases) lower(base.timeline, parseLsn(firstNeeded(base)));
  const timelines = timelinesOf(holdings);
  for (const timeline of timelines) {
    for (const { base, walk } of routesTo({ ...holdings, points: bases }, timeline)) {
      for (const leg of walk.legs.slice(0, -1)) stretches.push(passed(leg, base));
      const last = walk.legs.at(-1);
      if (last) lower(last.timeline, parseLsn(last.fromLsn));
    }
  }
  const keepFrom = [...from].map(([timeline, lsn]) => ({ timeline, lsn: formatLsn(lsn) }));
  keepFrom.sort((a, b) => a.timeline - b.timeline);
  return { stretches, keepFrom, superseded: supersededOf(holdings.points, timelines) };
}

function ownStretch(point: PointSummary): Stretch {
  return { timeline: point.timeline, from: parseLsn(firstNeeded(point)), to: parseLsn(point.stopLsn) };
}

/** With the segment of the switch: its beginning may be stored with the old timeline alone. */
function passed(leg: { timeline: number; fromLsn: Lsn; toLsn: Lsn }, { segmentBytes }: PointSummary): Stretch {
  return { timeline: leg.timeline, from: parseLsn(leg.fromLsn), to: parseLsn(leg.toLsn) + BigInt(segmentBytes) };
}

/** Of each timeline the newest start of a kept point on it or on a later one. */
function supersededOf(kept: readonly PointSummary[], timelines: readonly number[]): Map<number, bigint> {
  const found = new Map<number, bigint>();
  for (const timeline of timelines) {
    const starts = kept.filter((point) => point.timeline >= timeline).map((point) => parseLsn(firstNeeded(point)));
    if (starts.length > 0)
      found.set(
        timeline,
        starts.reduce((a, b) => (a > b ? a : b)),
      );
  }
  return found;
}

/** Objects that nothing needs, in the order they came. */
export function unneeded(objects: readonly WalObject[], needed: NeededWal): WalObject[] {
  const joined = joinedStretches(needed.stretches);
  const from = new Map(needed.keepFrom.map(({ timeline, lsn }) => [timeline, parseLsn(lsn)]));
  return objects.filter(({ timeline, startLsn, endLsn }) => {
    const [start, end] = [parseLsn(startLsn), parseLsn(endLsn)];
    if (end > (needed.superseded.get(timeline) ?? 0n)) return false;
    const kept = from.get(timeline);
    if (kept !== undefined && end > kept) return false;
    return !touches(joined.get(timeline) ?? [], start, end);
  });
}

/** Ascending and apart from each other, for each timeline: there may be thousands, and a million objects. */
function joinedStretches(stretches: readonly Stretch[]): Map<number, Stretch[]> {
  const joined = new Map<number, Stretch[]>();
  for (const each of stretches.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const known = joined.get(each.timeline) ?? [];
    joined.set(each.timeline, known);
    const last = known.at(-1);
    if (last && each.from <= last.to) last.to = last.to > each.to ? last.to : each.to;
    else known.push({ ...each });
  }
  return joined;
}

/** Whether [start, end) has anything in common with one of the stretches. */
function touches(stretches: readonly Stretch[], start: bigint, end: bigint): boolean {
  let [low, high] = [0, stretches.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((stretches[middle] as Stretch).to < start) low = middle + 1;
    else high = middle;
  }
  const first = stretches[low];
  return first !== undefined && end > first.from;
}
