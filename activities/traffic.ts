import { failure, isFailure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';
import type { Confirmation, Move, Observed } from '../workflows/model/traffic.ts';
import { describeTraffic, sameTraffic } from '../workflows/model/traffic.ts';
import { formatDuration } from '../workflows/model/units.ts';
import { attempt, withRun } from './activity-run.ts';
import type { Deps } from './deps.ts';
import type { Clock } from './io/clock.ts';
import type { Run } from './io/run.ts';
import { stale, stillToDo } from './switches/compare.ts';
import { findSwitch } from './switches/index.ts';
import type { SwitchCheck, SwitchSession } from './switches/switch.ts';

export interface SwitchTask {
  source: string;
  /** Name of a switch. */
  name: string;
}

export interface LocateTask extends SwitchTask {
  /** Also tries what a move will need, and refuses what would be in its way: nothing has been touched yet. */
  check?: true;
}

export type MoveTask = SwitchTask & Move;

const LOOK_MS = 500;
/** Looks from outside before the step is said to be unconfirmed, and tried again from the start. */
const LOOKS = 20;
/** Longest that we wait for what a switch says is cached. */
const LONGEST_MS = 600_000;

/** Where a switch sends traffic now. */
export function locateTraffic(deps: Deps, task: LocateTask): Promise<Observed> {
  return withSwitch(deps, task, async (session) => {
    const seen = await session.where();
    const checks = task.check ? ((await session.check?.()) ?? []) : [];
    const wrong = checks.find(({ ok }) => !ok);
    if (wrong) throw inTheWay(task.name, wrong);
    return seen;
  });
}

function inTheWay(name: string, { name: what, found, hint = 'lifeboat doctor' }: SwitchCheck): Error {
  return failure('Precondition', `switch ${name} is not ready to move traffic: ${what}`, {
    place: `switches.${name}`,
    expected: what,
    found,
    hint,
  });
}

/**
 * Moves traffic and returns when it is seen to be moved, by the switch and from outside. It looks first: an earlier attempt may
 * have done it. A move whose outcome nobody knows is answered by looking.
 */
export function moveTraffic(deps: Deps, task: MoveTask): Promise<Confirmation> {
  return withSwitch(deps, task, async (session, run) => {
    // An attempt that died may have left a move half made, or written over a newer one: a repeat makes it whole, or takes it back.
    const isRepeat = attempt() > 1;
    if (isRepeat || stillToDo(task.name, await session.where(), task) !== 'nothing') await moveOnce(session, task);
    return awaitConfirmed(session, { task, run });
  });
}

async function moveOnce(session: SwitchSession, { name, from, to, token }: MoveTask): Promise<void> {
  const seen = await session.where();
  try {
    // Where it stands there already, the switch has to hear of the new token only.
    await session.move({ from: sameTraffic(seen.traffic, to) ? to : from, to, token });
  } catch (error) {
    if (!isFailure(error, 'OutcomeUnknown')) throw error;
    const now = await session.where();
    if (sameTraffic(now.traffic, to) && now.token === token) return;
    throw failure('Unavailable', `switch ${name} was asked to move and did not: ${describeTraffic(now.traffic)}`, {
      place: `switches.${name}`,
      expected: describeTraffic(to),
      found: describeTraffic(now.traffic),
      hint: 'it is tried again by itself',
      cause: error,
    });
  }
}

async function awaitConfirmed(
  session: SwitchSession,
  { task, run }: { task: MoveTask; run: Run },
): Promise<Confirmation> {
  const { name, to } = task;
  let untilMs: number | undefined;
  const since = new Since(run.clock);
  for (let look = 1; ; look++) {
    const seen = await session.where();
    // A newer run has it in its hands: that it stands where we wanted it is no work of ours, and may change at once.
    if (seen.token > task.token) throw stale(name, { token: task.token, seen: seen.token });
    const confirmed = sameTraffic(seen.traffic, to) ? since.told(await session.confirm(to)) : undefined;
    if (confirmed?.ok) return confirmed;
    const found = confirmed?.found ?? describeTraffic(seen.traffic);
    const nowMs = run.clock.nowMs();
    // Said once: a cache that is filled with what is old again and again is no cache that runs out.
    untilMs ??= endOfCache(confirmed, nowMs);
    if (look >= LOOKS && nowMs >= (untilMs ?? 0)) throw unseen(task, found);
    run.progress({ phase: `confirm ${name}`, note: found });
    await run.clock.sleep(LOOK_MS, run.signal);
  }
}

/** How long each who leads clients somewhere took to do as it was told to the first of them. */
class Since {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #afterMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
  }

  /** The same, with how long each of them took. */
  told(confirmation: Confirmation): Confirmation {
    const { have = [], found } = confirmation;
    for (const each of have)
      if (!this.#afterMs.has(each)) this.#afterMs.set(each, this.#clock.nowMs() - this.#startedMs);
    const all = [...this.#afterMs].map(([name, ms]) => `${name} after ${formatDuration(ms)}`);
    return all.length === 0 ? confirmation : { ...confirmation, found: `${found} (${all.join(', ')})` };
  }
}

function endOfCache(confirmed: Confirmation | undefined, nowMs: number): number | undefined {
  const { withinMs } = confirmed ?? {};
  return withinMs === undefined ? undefined : nowMs + Math.min(withinMs, LONGEST_MS);
}

function unseen({ name, to }: MoveTask, found: string): Error {
  return failure('Unavailable', `switch ${name} has moved, and it is not seen from outside`, {
    place: `switches.${name}`,
    expected: describeTraffic(to),
    found,
    hint: 'it is looked at again by itself',
  });
}

function withSwitch<T>(
  deps: Deps,
  { name }: SwitchTask,
  use: (session: SwitchSession, run: Run) => Promise<T>,
): Promise<T> {
  const config = deps.config.switches[name];
  if (!config) {
    const near = nearestName(name, Object.keys(deps.config.switches));
    throw failure('NotFound', `switch ${name} is not configured on host ${deps.host}`, {
      place: `switches in ${deps.config.path}`,
      expected: Object.keys(deps.config.switches).join(', ') || 'a switch',
      found: name,
      hint: near === undefined ? 'lifeboat config explain' : `did you mean ${near}?`,
    });
  }
  return withRun(deps, async (run) => {
    await using session = findSwitch(config.kind).open(name, config.options, run);
    return await use(session, run);
  });
}
