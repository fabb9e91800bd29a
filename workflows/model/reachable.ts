import { chainsOf } from './chain.ts';
import type { Walk } from './coverage-walk.ts';
import { walkFrom } from './coverage-walk.ts';
import type { Holdings } from './coverage-walk.ts';
import { compareLsn } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import type { ReachableWindow } from './recovery.ts';
import { historyOf } from './timeline.ts';
import type { TimelineHistory } from './wal.ts';
import type { Moment } from './results.ts';
import { timeMicros } from './target-parse.ts';

/** A base with all that it stands on, and the WAL behind it, towards one timeline. */
export interface Route {
  base: PointSummary;
  /** From the full one to the base. */
  chain: PointSummary[];
  history: TimelineHistory;
  walk: Walk;
}

/** Every base whose chain is whole and that the WAL makes consistent, towards `timeline`; oldest base first. */
export function routesTo(holdings: Holdings, timeline: number): Route[] {
  const history = historyOf([...holdings.histories], timeline);
  if (!history) return [];
  const chainOf = chainsOf(holdings.links ?? holdings.points);
  const routes: Route[] = [];
  for (const base of holdings.points) {
    const chain = chainOf(base);
    const walk = 'links' in chain ? walkFrom(base, history, holdings.ranges) : undefined;
    if ('links' in chain && walk && isConsistent(base, walk)) routes.push({ base, chain: chain.links, history, walk });
  }
  return routes.sort((a, b) => compareLsn(a.base.stopLsn, b.base.stopLsn));
}

/** A base is usable when the WAL up to its stop position is there, on the way it was written. */
export function isConsistent(base: PointSummary, walk: Walk): boolean {
  return walk.legs.length > 0 && compareLsn(walk.toLsn, base.stopLsn) >= 0;
}

/** Every timeline the vault knows of, ascending. */
export function timelinesOf({ points, ranges, histories }: Holdings): number[] {
  const all = [...points, ...ranges, ...histories].map(({ timeline }) => timeline);
  return [...new Set(all)].sort((a, b) => a - b);
}

/** What can be reached now: for each base, each timeline it leads to, oldest first. */
export function windowsOf(holdings: Holdings): ReachableWindow[] {
  const windows = timelinesOf(holdings).flatMap((timeline) =>
    routesTo(holdings, timeline)
      // A route that ends before its timeline begins says nothing that the older timeline does not say.
      .filter(({ walk }) => walk.timeline === timeline)
      .map(windowOf),
  );
  return windows.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : a.timeline - b.timeline));
}

export function windowOf({ base, walk }: Route): ReachableWindow {
  const to = walk.to !== undefined && timeMicros(walk.to) > timeMicros(base.stoppedAt) ? { to: walk.to } : {};
  return {
    ...{ point: base.point, timeline: walk.timeline, fromLsn: base.stopLsn, toLsn: walk.toLsn },
    from: base.stoppedAt,
    ...to,
  };
}

/** For people: what can be brought back now. */
export function windowsText(windows: readonly ReachableWindow[]): string {
  if (windows.length === 0) return 'Nothing can be restored now.';
  const spans = windows.map(({ from, to }) => (to === undefined ? from : `${from} to ${to}`));
  return `Reachable now: ${spans.join(', ')}.`;
}

/** Newest reachable moment at or before `micros`, and the oldest one after it. */
export function nearestMoments(
  windows: readonly ReachableWindow[],
  micros: number,
): { before?: Moment; after?: Moment } {
  let before: Moment | undefined;
  let after: Moment | undefined;
  for (const { from, to = from, timeline } of windows) {
    const [start, end] = [timeMicros(from), timeMicros(to)];
    if (start <= micros) {
      const at = end <= micros ? to : from;
      if (!before || timeMicros(at) > timeMicros(before.at)) before = { at, timeline };
    }
    if (start > micros && (!after || start < timeMicros(after.at))) after = { at: from, timeline };
  }
  return { ...(before ? { before } : {}), ...(after ? { after } : {}) };
}
