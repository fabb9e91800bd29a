import type { Outage, OutageVerdict } from './outage.ts';
import { isGone } from './outage.ts';

/** When an outage is told, and when a failover is due; the `watch` of a cluster. Milliseconds. */
export interface OutageRules {
  /** How long it has to last: one process, one host, a frozen server, a site, a cut between those who live. */
  afterMs: { process: number; host: number; frozen: number; site: number; cut: number };
  /** More outages than `most` within the window: it comes and goes, and nothing is started by itself. */
  flaps: { withinMs: number; most: number };
  /** So long after one failover no other is started by itself. */
  pauseMs: number;
  automatic: boolean;
}

/** What has been seen so far; plain data, carried from run to run. */
export interface OutageState {
  outage: Outage;
  /** Since when it is not `none`; absent: all is well. */
  sinceMs?: number;
  /** Since when the primary is agreed to be gone, without a break. */
  goneMs?: number;
  /** Since when its own host sees that no server runs, without a break: before that it may have written. */
  stoppedMs?: number;
  /** Beginnings of earlier outages of a primary that was gone. */
  begun: number[];
  told?: Outage;
  /** What was due was done, once for each: of a primary that is gone, of one that may live. */
  acted?: ('gone' | 'lives')[];
  failedOverMs?: number;
}

export const WELL: OutageState = { outage: 'none', begun: [] };

/** What comes and goes within this is nobody's business; workers that are started again say nothing for a while. */
const TELL_MS = 10_000;
const TELL_UNKNOWN_MS = 60_000;

export type OutageAct =
  | { act: 'none' }
  /** Somebody should know. */
  | { act: 'tell' }
  /** A failover is due, and somebody has to start it: why it does not start by itself. */
  | { act: 'ask'; why: string }
  | { act: 'start' }
  | { act: 'over' };

export interface Advanced {
  state: OutageState;
  what: OutageAct;
  /** Without any news it is to be looked at again then. */
  againMs?: number;
}

const TRIGGERS: Record<Exclude<Outage, 'none'>, keyof OutageRules['afterMs']> = {
  ...{ 'process-dead': 'process', 'host-dead': 'host', frozen: 'frozen', 'site-cut': 'site' },
  ...{ 'one-way-cut': 'cut', 'standby-isolated': 'cut', overloaded: 'cut', 'disk-full': 'cut', unknown: 'cut' },
};

/** One verdict further. The same verdict at the same moment twice changes nothing the second time. */
export function advance(
  before: OutageState,
  verdict: OutageVerdict,
  { rules, nowMs }: { rules: OutageRules; nowMs: number },
): Advanced {
  const { outage } = verdict;
  if (outage === 'none') return recovered(before, { rules, nowMs });
  const gone = isGone(outage) && verdict.agreed;
  const state: OutageState = { ...before, outage, sinceMs: before.sinceMs ?? nowMs };
  if (gone && before.goneMs === undefined) {
    state.goneMs = nowMs;
    state.begun = [...recent(before.begun, rules, nowMs), nowMs];
  }
  if (!gone) delete state.goneMs;
  if (verdict.stopped) state.stoppedMs = before.stoppedMs ?? nowMs;
  else delete state.stoppedMs;
  return due(state, { rules, nowMs, gone });
}

function recovered(before: OutageState, { rules, nowMs }: { rules: OutageRules; nowMs: number }): Advanced {
  const { begun, failedOverMs, told } = before;
  const state: OutageState = {
    ...{ outage: 'none' as const, begun: recent(begun, rules, nowMs) },
    ...(failedOverMs === undefined ? {} : { failedOverMs }),
  };
  return { state, what: { act: told === undefined ? 'none' : 'over' } };
}

function recent(begun: readonly number[], { flaps }: OutageRules, nowMs: number): number[] {
  return begun.filter((at) => nowMs - at < flaps.withinMs);
}

function due(
  state: OutageState,
  { rules, nowMs, gone }: { rules: OutageRules; nowMs: number; gone: boolean },
): Advanced {
  const { outage, told, acted = [] } = state;
  const kind = gone ? 'gone' : 'lives';
  const { dueMs, tellMs } = momentsOf(state, rules, nowMs);
  const isDone = acted.includes(kind);
  if (nowMs >= dueMs && !isDone) {
    const what: OutageAct = gone ? startOrAsk(state, rules, nowMs) : { act: 'ask', why: whyNot(outage) };
    return { state: { ...state, told: outage, acted: [...acted, kind] }, what };
  }
  const later = isDone ? {} : { againMs: dueMs };
  if (told === outage) return { state, what: { act: 'none' }, ...later };
  if (nowMs >= tellMs) return { state: { ...state, told: outage }, what: { act: 'tell' }, ...later };
  return { state, what: { act: 'none' }, againMs: isDone ? tellMs : Math.min(tellMs, dueMs) };
}

/** When somebody is told, and when something is done about it. */
function momentsOf(
  { outage, sinceMs = 0, goneMs = sinceMs }: OutageState,
  { afterMs }: OutageRules,
  nowMs: number,
): { dueMs: number; tellMs: number } {
  if (outage === 'none') return { dueMs: nowMs, tellMs: nowMs };
  const after = afterMs[TRIGGERS[outage]];
  return { dueMs: goneMs + after, tellMs: sinceMs + Math.min(outage === 'unknown' ? TELL_UNKNOWN_MS : TELL_MS, after) };
}

function whyNot(outage: Outage): string {
  return isGone(outage) ? 'not all who have to agree see it so' : 'the primary lives, or nobody can tell';
}

function startOrAsk(state: OutageState, rules: OutageRules, nowMs: number): OutageAct {
  const { begun, failedOverMs } = state;
  if (!rules.automatic) return { act: 'ask', why: 'watch.automatic is off' };
  if (begun.length > rules.flaps.most)
    return { act: 'ask', why: `it is the outage number ${begun.length} within watch.flaps.within` };
  if (failedOverMs !== undefined && nowMs - failedOverMs < rules.pauseMs)
    return { act: 'ask', why: 'another failover was a short time ago (watch.pause)' };
  return { act: 'start' };
}

/**
 * Until when the primary may have written, where that is known: by its own host, which sees that no server runs. One that others do not
 * reach, whose port refuses them, or that answers no question, may go on with the sessions that it has.
 */
export function lastWriteMs({ stoppedMs }: OutageState): number | undefined {
  return stoppedMs;
}
