import type { Holdings } from './coverage-walk.ts';
import type { PointSummary } from './manifest.ts';
import type { Route } from './reachable.ts';
import { routesTo, timelinesOf } from './reachable.ts';
import { timeMicros } from './target-parse.ts';

interface Span {
  point: string;
  from: number;
  to: number;
}

/**
 * The bases in front of the window without which a moment of it could not be reached any more, on any timeline: with all
 * points counted, and again with the good ones alone, so that a bad base never stands in for a good one. Those inside of
 * the window are kept as they are.
 */
export function windowBases(
  holdings: Holdings,
  { isGood, cutoffMicros }: { isGood: (point: PointSummary) => boolean; cutoffMicros: number },
): { point: string; timeline: number }[] {
  return timelinesOf(holdings).flatMap((timeline) => {
    const routes = routesTo(holdings, timeline).filter(({ walk }) => walk.timeline === timeline);
    const kept = [routes, routes.filter(({ base }) => isGood(base))].flatMap((some) => needed(some, cutoffMicros));
    return [...new Set(kept)].map((point) => ({ point, timeline }));
  });
}

function needed(routes: readonly Route[], cutoff: number): string[] {
  const spans = routes.map(spanOf).filter(({ to }) => to >= cutoff);
  const covered = spans.filter(({ from }) => from >= cutoff);
  const kept: string[] = [];
  // The newest first: it has the shortest way.
  for (const span of spans.filter(({ from }) => from < cutoff).reverse()) {
    if (isCovered({ ...span, from: cutoff }, covered)) continue;
    covered.push(span);
    kept.push(span.point);
  }
  return kept;
}

function spanOf({ base, walk }: Route): Span {
  const from = timeMicros(base.stoppedAt);
  return { point: base.point, from, to: walk.to === undefined ? from : Math.max(from, timeMicros(walk.to)) };
}

function isCovered({ from, to }: Span, by: readonly Span[]): boolean {
  let reached = from;
  for (const span of by.toSorted((a, b) => a.from - b.from)) {
    if (span.from > reached) break;
    reached = Math.max(reached, span.to);
    if (reached >= to && span.to >= from) return true;
  }
  return false;
}
