import { chainsOf } from './chain.ts';
import type { Holdings } from './coverage-walk.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn } from './lsn.ts';
import type { PointKind } from './manifest.ts';
import type { Route } from './reachable.ts';
import { routesTo, timelinesOf } from './reachable.ts';
import { isoOfMicros, timeMicros } from './target-parse.ts';
import { historyOf } from './timeline.ts';
import type { WalStatus } from './wal.ts';

/** Moments from `from` up to `to`, ISO 8601 UTC; `to` itself, the newest commit, is reached just before it (exclusive) or as the latest. */
export interface TimeSpan {
  from: string;
  to: string;
}

/** Positions from `fromLsn` on, before `toLsn`. */
export interface LsnSpan {
  fromLsn: Lsn;
  toLsn: Lsn;
}

/** What can be reached by following one timeline to its end: no two spans touch, oldest first. */
export interface TimelineReach {
  timeline: number;
  /** Followed by a recovery to a time that names no timeline. */
  isDefault: boolean;
  /** Where it left the one before it; absent for the first. */
  parent?: { timeline: number; switchLsn: Lsn };
  times: TimeSpan[];
  positions: LsnSpan[];
}

export interface BaseMark {
  point: string;
  kind: PointKind;
  timeline: number;
  stopLsn: Lsn;
  /** When it ended: the first moment that it reaches. */
  at: string;
  /** Why nothing can be restored from it; absent when it can. */
  unusable?: string;
}

export interface HoleMark {
  timeline: number;
  fromLsn: Lsn;
  toLsn: Lsn;
  bytes: number;
  /** Newest commit known in front of it. */
  after?: string;
}

/** Exactly which moments can be restored from one copy of a source's vault. */
export interface CopyReach {
  /** Name of the store. */
  copy: string;
  /** Absent while it holds nothing. */
  systemId?: string;
  timelines: TimelineReach[];
  /** Newest ones, at most MOST_MARKS. */
  bases: BaseMark[];
  holes: HoleMark[];
  /** Points that cannot be read. */
  damaged: { point: string; reason: string }[];
}

/** More of a kind are no picture, and no answer that a run should carry. */
export const MOST_MARKS = 300;

export interface Copy extends Holdings {
  gaps: WalStatus['gaps'];
  damaged: CopyReach['damaged'];
  systemId: string;
}

/** The same that `chooseRoute` would find for each moment, asked once for all of them. */
export function reachOf(copy: string, held: Copy): CopyReach {
  const timelines = timelinesOf(held);
  const routes = new Map(timelines.map((timeline) => [timeline, routesTo(held, timeline)]));
  const newest = timelines.findLast((timeline) => (routes.get(timeline) ?? []).length > 0);
  const used = new Set([...routes.values()].flat().map(({ base }) => base.point));
  return {
    copy,
    systemId: held.systemId,
    timelines: timelines.map((timeline) => {
      const parent = historyOf([...held.histories], timeline)?.ancestors.at(-1);
      return {
        ...{ timeline, isDefault: timeline === newest },
        ...(parent ? { parent: { timeline: parent.timeline, switchLsn: parent.switchLsn } } : {}),
        times: timesOf(routes.get(timeline) ?? []),
        positions: positionsOf(routes.get(timeline) ?? []),
      };
    }),
    bases: basesOf(held, used).slice(-MOST_MARKS),
    holes: holesOf(held).slice(-MOST_MARKS),
    damaged: held.damaged.slice(-MOST_MARKS),
  };
}

function timesOf(routes: readonly Route[]): TimeSpan[] {
  const spans = routes.flatMap(({ base, walk }) => {
    const from = timeMicros(base.stoppedAt);
    const to = walk.to === undefined ? undefined : timeMicros(walk.to);
    return to === undefined || to < from ? [] : [{ from, to }];
  });
  return joined(spans, (a, b) => a - b).map(({ from, to }) => ({ from: isoOfMicros(from), to: isoOfMicros(to) }));
}

function positionsOf(routes: readonly Route[]): LsnSpan[] {
  const spans = routes.map(({ base, walk }) => ({ from: base.stopLsn, to: walk.toLsn }));
  const open = spans.filter(({ from, to }) => compareLsn(from, to) < 0);
  return joined(open, compareLsn).map(({ from, to }) => ({ fromLsn: from, toLsn: to }));
}

/** Spans that overlap or touch become one. */
function joined<T>(spans: readonly { from: T; to: T }[], compare: (a: T, b: T) => number): { from: T; to: T }[] {
  const all: { from: T; to: T }[] = [];
  for (const { from, to } of spans.toSorted((a, b) => compare(a.from, b.from))) {
    const last = all.at(-1);
    if (!last || compare(from, last.to) > 0) all.push({ from, to });
    else if (compare(to, last.to) > 0) last.to = to;
  }
  return all;
}

function basesOf({ points, links }: Copy, used: ReadonlySet<string>): BaseMark[] {
  const chainOf = chainsOf(links ?? points);
  return points.map((point) => {
    const { kind, timeline, stopLsn, stoppedAt: at } = point;
    const mark = { point: point.point, kind, timeline, stopLsn, at };
    if (used.has(point.point)) return mark;
    const chain = chainOf(point);
    return { ...mark, unusable: 'broken' in chain ? chain.broken : 'WAL up to its end is not in the vault' };
  });
}

function holesOf({ gaps, ranges }: Copy): HoleMark[] {
  return gaps.map((gap) => {
    const before = ranges.find(({ timeline, endLsn }) => timeline === gap.timeline && endLsn === gap.fromLsn);
    return { ...gap, ...(before?.lastCommitAt === undefined ? {} : { after: before.lastCommitAt }) };
  });
}

/** Whether a time or a position stands in what is reached. */
export function isReached(
  { times, positions }: TimelineReach,
  target: { kind: 'time'; time: string; inclusive: boolean } | { kind: 'lsn'; lsn: Lsn },
): boolean {
  if (target.kind === 'lsn')
    return positions.some(
      ({ fromLsn, toLsn }) => compareLsn(fromLsn, target.lsn) <= 0 && compareLsn(target.lsn, toLsn) < 0,
    );
  const at = timeMicros(target.time);
  return times.some(({ from, to }) => {
    const [start, end] = [timeMicros(from), timeMicros(to)];
    return start <= at && (target.inclusive ? at < end : at <= end);
  });
}
