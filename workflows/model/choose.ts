import { chainsOf } from './chain.ts';
import type { Holdings } from './coverage-walk.ts';
import { failure } from './failure.ts';
import { compareLsn } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import type { ReachableWindow, WalLeg } from './recovery.ts';
import type { Route } from './reachable.ts';
import { nearestMoments, routesTo, timelinesOf, windowOf, windowsOf } from './reachable.ts';
import type { Target, TimelineChoice } from './target.ts';
import { describeTarget } from './target.ts';
import { timeMicros } from './target-parse.ts';
import { historyOf, timelineAt } from './timeline.ts';

export interface Wish {
  source: string;
  target: Target;
  timeline: TimelineChoice;
  /** Only this point. */
  point?: string;
  /** By the clock of the host that decides, microseconds since 1970-01-01 UTC. */
  nowMicros: number;
}

/** Which base, along which WAL, to which timeline. */
export interface Choice {
  route: Route;
  timeline: number;
  legs: WalLeg[];
  window: ReachableWindow;
}

/**
 * Chooses the newest base from which the target can be reached, which is the shortest replay. Precondition, with the
 * reachable windows, when there is none; NotFound when there is no recovery point at all.
 */
export function chooseRoute(holdings: Holdings, wish: Wish): Choice {
  const [choice] = choicesFor(holdings, wish);
  if (choice) return choice;
  throw unreachable(wish, holdings);
}

/** What may lead to the target, best first: for a transaction or a restore point the WAL says which of them does. */
export function choicesFor(holdings: Holdings, wish: Wish): Choice[] {
  const points = candidates(holdings, wish);
  const { target } = wish;
  if (target.kind === 'time' && timeMicros(target.time) > wish.nowMicros) throw inTheFuture(target.time, wish);
  const bases = { ...holdings, points, links: holdings.points };
  return timelinesFor(bases, wish).flatMap((timeline) =>
    routesTo(bases, timeline)
      .filter((route) => reaches(route, target))
      .map((route) => ({ route, timeline, legs: route.walk.legs, window: windowOf(route) }))
      .reverse(),
  );
}

function candidates({ points }: Holdings, { source, point }: Wish): Holdings['points'] {
  if (points.length === 0) {
    throw failure('NotFound', `source ${source} has no recovery point`, {
      place: source,
      expected: 'at least one published base backup',
      found: 'none',
      hint: `lifeboat backup ${source}`,
    });
  }
  if (point === undefined) return points;
  const named = points.filter((each) => each.point === point);
  if (named[0]) {
    checkChain({ source, point: named[0], points });
    return named;
  }
  throw failure('NotFound', `point ${point} does not exist`, {
    place: `${source}/${point}`,
    expected: `one of ${points
      .map((each) => each.point)
      .slice(-5)
      .join(', ')}`,
    found: point,
    hint: `lifeboat list ${source}`,
  });
}

/** A point that is wished for by name is not left out in silence. */
function checkChain(use: { source: string; point: PointSummary; points: Holdings['points'] }): void {
  const { source, point, points } = use;
  const chain = chainsOf(points)(point);
  if ('links' in chain) return;
  throw failure('Precondition', `point ${point.point} cannot be restored: ${chain.broken}`, {
    place: `${source}/${point.point}`,
    expected: `every point that this ${point.kind} one stands on`,
    found: chain.broken,
    hint: `leave out --point, or look for another: lifeboat list ${source}`,
  });
}

/** "latest" is the newest timeline that a base leads to, as the server's own recovery_target_timeline does it. */
function timelinesFor(holdings: Holdings, { timeline, target, source }: Wish): number[] {
  const known = timelinesOf(holdings);
  if (timeline === 'latest') return target.kind === 'lsn' ? known.toReversed() : newestWithRoute(holdings, known);
  if (timeline === 'current') return [...new Set(holdings.points.map((point) => point.timeline))].reverse();
  if (known.includes(timeline) && historyOf([...holdings.histories], timeline)) return [timeline];
  throw failure('Precondition', `timeline ${timeline} of ${source} is not in the vault`, {
    place: `${source}, timeline ${timeline}`,
    expected: `one of ${known.join(', ')}`,
    found: String(timeline),
    hint: `lifeboat wal ${source}`,
  });
}

function newestWithRoute(holdings: Holdings, known: number[]): number[] {
  const newest = known.toReversed().find((timeline) => routesTo(holdings, timeline).length > 0);
  return newest === undefined ? [] : [newest];
}

/** Whether the WAL of a route holds the target. A transaction or a restore point may stand anywhere in it. */
function reaches({ base, walk, history }: Route, target: Target): boolean {
  switch (target.kind) {
    case 'time':
      return timeInside(base.stoppedAt, walk.to, target);
    case 'lsn':
      return (
        compareLsn(target.lsn, base.stopLsn) >= 0 &&
        compareLsn(target.lsn, walk.toLsn) < 0 &&
        timelineAt(history, target.lsn) <= walk.timeline
      );
    case 'xid':
      return base.oldestXid === undefined || isAtOrAfter(target.xid, base.oldestXid);
    default:
      return true;
  }
}

/** Recovery stops in front of the first commit behind the target: there has to be one (manual 19.5.6). */
function timeInside(from: string, to: string | undefined, target: { time: string; inclusive: boolean }): boolean {
  const micros = timeMicros(target.time);
  if (to === undefined || micros < timeMicros(from)) return false;
  return target.inclusive ? micros < timeMicros(to) : micros <= timeMicros(to);
}

const XID_SPAN = 1n << 32n;

/** Whether transaction `xid` can have ended behind a base at whose end all before `oldest` (64 bits) had ended. */
export function isAtOrAfter(xid: string, oldest: string): boolean {
  const [wanted, first] = [BigInt(xid), BigInt(oldest)];
  if (wanted >= XID_SPAN) return wanted >= first;
  // 32 bits wrap around: within half of the circle ahead it is newer.
  return (wanted - (first % XID_SPAN) + XID_SPAN) % XID_SPAN < XID_SPAN / 2n;
}

function inTheFuture(time: string, { source, nowMicros }: Wish): Error {
  const now = new Date(Math.floor(nowMicros / 1000)).toISOString();
  return failure('Precondition', `target ${time} lies in the future`, {
    place: 'target.time',
    expected: `a moment before ${now}`,
    found: time,
    hint: `lifeboat restore ${source} --to-latest`,
  });
}

const SHOWN = 5;

/** Precondition that says what can be reached; `why` is what was looked for in vain. */
export function unreachable({ source, target }: Pick<Wish, 'source' | 'target'>, holdings: Holdings, why = ''): Error {
  const windows = windowsOf(holdings);
  const { before, after } = target.kind === 'time' ? nearestMoments(windows, timeMicros(target.time)) : {};
  const near = [before && `before it ${before.at}`, after && `after it ${after.at}`].filter(
    (text) => text !== undefined,
  );
  const nearest = near.length > 0 ? `; nearest reachable: ${near.join(', ')}` : '';
  return failure('Precondition', `${describeTarget(target)} cannot be reached in ${source}${why}${nearest}`, {
    place: source,
    expected: windows.length > 0 ? windows.slice(-SHOWN).map(windowText).join('; ') : 'WAL behind a recovery point',
    found: describeTarget(target),
    hint:
      windows.length > 0
        ? `lifeboat restore ${source} --to-latest --preview, or lifeboat wal ${source}`
        : `lifeboat wal ${source}`,
  });
}

function windowText({ from, to, fromLsn, toLsn, timeline }: ReachableWindow): string {
  return `${from} to ${to ?? 'the end of the backup'} (${fromLsn} to ${toLsn}, timeline ${timeline})`;
}
