import { CancellationScope, isCancellation, sleep, workflowInfo } from '@temporalio/workflow';
import type { Approval, Evidence } from '../model/approval.ts';
import type { ClusterFacts, NodeFacts, WalTail } from '../model/cluster.ts';
import type { FailoverOrder, FailoverPlan, Following, Promotion, ZeroLossProof } from '../model/failover.ts';
import type { Loss } from '../model/failover-loss.ts';
import type { FenceResult } from '../model/failover-verdict.ts';
import { failure } from '../model/failure.ts';
import type { Check } from '../model/recovery.ts';
import type { ReportOutage, ReportSpan, ReportStep } from '../model/report.ts';
import { formatDuration } from '../model/units.ts';
import type { Approvals } from './approval.ts';
import type { BegunService } from './begin-service.ts';
import type { Journal } from './journal.ts';
import type { Compensations } from './conclude.ts';
import type { RtoClock } from './rto-clock.ts';
import { isoNow, nowMs } from './time.ts';
import type { TrafficControl } from './traffic.ts';

/** What a failover has in its hands. */
export interface FailingOver extends BegunService<FailoverOrder> {
  /** The node that becomes the primary. */
  to: NodeFacts;
  approvals: Approvals;
  undo: Compensations;
  clock: RtoClock;
  said: Said;
}

/** What is known so far, for the report of one that fails. */
export interface Said {
  /** What is looked at is looked at: from here on something is touched. */
  begun?: true;
  plan?: FailoverPlan;
  checks?: Check[];
  evidence?: Evidence;
  approvals?: Approval[];
  zeroLoss?: ZeroLossProof;
  promotion?: Promotion;
  loss?: Loss;
  lost?: WalTail;
  fence?: FenceResult[];
  rejoined?: Following;
  others?: Following[];
  /** What was not done behind the point of no return, and ended nothing. */
  wrong?: string[];
  /** Since the traffic was stopped. */
  outage?: ReportOutage;
  traffic?: TrafficControl;
  /** What a person does now. */
  next?: string[];
  steps: ReportStep[];
}

/** Who moves, for every node that is touched. */
export interface Mover {
  epoch: number;
  run: string;
}

/** Both sides are known, and the number of the run is taken. */
export interface Switching extends FailingOver {
  /** The node that is the primary, or was. */
  from: NodeFacts;
  traffic: TrafficControl;
  mover: Mover;
  /** What comes up at the new site beside all that is done before clients are sent there. */
  raising?: Raising;
}

export interface Raising {
  ended: Promise<void>;
  /** Why it does not come up, as soon as that is known. */
  failed(): string | undefined;
  stop(): Promise<void>;
}

export function moverOf(traffic: TrafficControl): Mover {
  return { epoch: traffic.epoch, run: workflowInfo().runId };
}

/** Whoever goes by steps. */
export interface Stepping {
  journal: Journal;
  said: Pick<Said, 'steps'>;
}

/** One step with its place in the timeline, and how long it took. */
export function timed<T>(use: Stepping, name: string, work: () => Promise<T>): Promise<T> {
  use.journal.step(name);
  return aside(use, name, work);
}

/** The same of one that goes on beside those that the run waits for. */
export async function aside<T>({ said }: Pick<Stepping, 'said'>, name: string, work: () => Promise<T>): Promise<T> {
  const [from, startedMs] = [isoNow(), nowMs()];
  try {
    return await work();
  } finally {
    said.steps.push({ name, ms: nowMs() - startedMs, from, to: isoNow() });
  }
}

/** Precondition, naming each check that does not hold; nothing is touched then. */
export function refuseUnless(checks: readonly Check[], { service }: ClusterFacts, hint: string): void {
  const bad = checks.filter(({ ok }) => !ok);
  if (bad.length === 0) return;
  const said = bad.map(({ name, expected, found }) => `${name}: ${found}, expected ${expected}`);
  throw failure('Precondition', `service ${service} cannot be failed over: ${said.join('; ')}`, {
    place: `services.${service}.cluster`,
    expected: bad.map(({ name, expected }) => `${name}: ${expected}`).join('; '),
    found: bad.map(({ name, found }) => `${name}: ${found}`).join('; '),
    hint,
  });
}

/** A time limit, and what is said when it is over. */
export interface Limit {
  limitMs: number;
  what: string;
  place: string;
  hint: string;
}

/** Work that has to be done within a time, or is taken back: what runs is cancelled, and has ended when this throws. */
export async function within<T>({ limitMs, what, place, hint }: Limit, work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  const timer = new CancellationScope();
  let late = false;
  const watching = timer.run(async () => {
    await sleep(limitMs, { summary: `${what}: at most ${formatDuration(limitMs)}` });
    late = true;
    scope.cancel();
  });
  watching.catch(() => undefined);
  try {
    return await scope.run(work);
  } catch (error) {
    if (!late || !isCancellation(error)) throw error;
    throw failure('Precondition', `${what} takes too long`, {
      ...{ place, hint, found: 'none' },
      expected: `an end within ${formatDuration(limitMs)}`,
    });
  } finally {
    timer.cancel();
  }
}

/** Nobody is served from here on; a repeat changes nothing. */
export function beginOutage(said: Said, from = isoNow()): void {
  said.outage ??= { from };
}

/** Clients are served again. */
export function endOutage({ outage }: Said): void {
  if (!outage || outage.to !== undefined) return;
  outage.to = isoNow();
  outage.ms = Date.parse(outage.to) - Date.parse(outage.from);
}

export function spansOf({ steps }: Pick<Said, 'steps'>): ReportSpan[] {
  return steps.map(({ name, from, to }) => ({ lane: 'failover', label: name, from, to, tone: 'work' as const }));
}
