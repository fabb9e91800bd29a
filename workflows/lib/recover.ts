import { isCancellation, patched, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.ts';
import { failure } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import type { RestoreOrder } from '../model/orders.ts';
import { describeLeftOut } from '../model/partial.ts';
import type { Phase, Proof, RecoveryPlan, ReplayEvidence, RestoreResult } from '../model/recovery.ts';
import { PHASES } from '../model/recovery.ts';
import type { RestorePreview, SourceFacts } from '../model/results.ts';
import { tookSessions } from '../model/standby.ts';
import { describeTarget, isMarkTarget } from '../model/target.ts';
import { formatBytes } from '../model/units.ts';
import { bulk, quick, search } from '../options.ts';
import type { Compensations } from './conclude.ts';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';
import { waitingForRoom } from './room.ts';
import type { RtoClock } from './rto-clock.ts';

export interface Recovering {
  journal: Journal;
  facts: SourceFacts;
  notices: Notices;
  undo: Compensations;
  /** Stops when the cluster is proven, or is not: what comes then is not recovery. */
  clock: RtoClock;
  /** Leave a cluster that is not proven where it is: it may be the best there is, and somebody has to look at it. */
  keepUnproven: boolean;
  /** The copy stays as it is proven: the caller works on it as only this host can, and removes it. */
  unfinished?: boolean;
}

/** What would be restored: base, WAL, place, estimate. Moves nothing. */
export function planRecovery(order: RestoreOrder): Promise<RestorePreview> {
  const { target = { kind: 'latest' } } = order;
  const look = isMarkTarget(target) ? search : quick;
  const acts = look({
    summary: `choose base and WAL for ${describeTarget(target)}`,
    ...(order.host === undefined ? {} : { taskQueue: hostQueue(order.host) }),
  });
  return acts.planRestore({ ...order, run: workflowInfo().runId });
}

/** How far the WAL was replayed; of a source of kind postgres only. */
export function replayOf({ plan, replay }: RestoreResult): ReplayEvidence {
  if (replay) return replay;
  throw failure('Bug', `nothing was replayed into ${plan.into}`, { place: plan.into });
}

/** Recovers as ordered and proves it. On the way out by a failure the caller's compensations remove what was made. */
export async function recover(order: RestoreOrder, use: Recovering): Promise<RestoreResult> {
  const { journal, facts, undo, clock, keepUnproven } = use;
  const waitedMs: NonNullable<RestoreResult['waitedMs']> = {};
  const timed = phaseTimer(journal, waitedMs);
  // A copy that somebody needs waits for room; any other makes room itself.
  const patiently = <T>(step: () => Promise<T>): Promise<T> => (keepUnproven ? waitingForRoom(use, step) : step());
  const { plan } = await timed('find', () => planRecovery(order));
  journal.note(`from ${plan.base.point}${momentOf(plan)}, into ${placeOf(plan)} on host ${plan.host}`);
  const on = (summary: string): Activities => bulk({ summary, taskQueue: hostQueue(plan.host) });
  undo.push('remove the unfinished restore', () => on(`remove ${plan.into}`).discardRestore(plan));
  const fetch = await timed('fetch', async () => {
    await patiently(() => on(`make ${plan.into}`).prepareTarget(plan));
    const fetching = on(`fetch ${formatBytes(plan.estimate.storedBytes)} of ${plan.base.point}`);
    return patiently(() => fetching.fetchBase(plan));
  });
  const keepingIf =
    (wasUp: (error: unknown) => boolean) =>
    (error: unknown): never => {
      if (wasUp(error)) keepFollower(plan, use, error);
      throw error;
    };
  const replay = plan.dump
    ? undefined
    : await timed('replay', () => patiently(() => replayed(plan, use))).catch(keepingIf(tookSessions));
  const opening = on(plan.standby ? 'see the standby follow' : `${plan.action} the recovered cluster`);
  const open = await timed('open', () => patiently(() => opening.openCluster(plan))).catch(keepingIf(() => true));
  try {
    const proof = await timed('prove', () =>
      on('prove the recovered cluster').proveCluster({
        ...{ plan, ...(replay ? { replay } : {}) },
        ...(open.follows ? { follows: open.follows } : {}),
      }),
    );
    const rtoMs = journal.elapsedMs();
    clock.stop();
    if (!proof.ok) throw notProven(plan, proof, keepUnproven);
    clock.reached();
    if (!use.unfinished) {
      journal.step('finish');
      await on('remove the helpers of the recovery').finishRestore(plan);
    }
    return {
      ...{ plan, fetch, open, proof, rtoMs },
      ...(replay ? { replay } : {}),
      phases: { ...NO_PHASES, ...journal.progress.phases },
      ...(journal.waitedMs > 0 ? { waitedMs } : {}),
      ...(facts.rtoMs === undefined ? {} : { rtoObjectiveMs: facts.rtoMs }),
      ...(plan.setAside === undefined ? {} : { setAside: plan.setAside }),
    };
  } catch (error) {
    if (keepUnproven && !isCancellation(error)) keep(plan, use);
    throw error;
  }
}

async function replayed(plan: RecoveryPlan, { journal }: Recovering): Promise<ReplayEvidence> {
  const summary = `replay to ${describeTarget(plan.target)}`;
  const replay = await bulk({ summary, taskQueue: hostQueue(plan.host) }).replayWal(plan);
  const did = plan.standby ? 'replay came to' : 'recovery stopped at';
  journal.note(`${did} ${replay.stoppedAtLsn}: ${replay.stopReason}`);
  return replay;
}

function momentOf({ dump, partial, target }: RecoveryPlan): string {
  const only = partial ? `, only database ${partial.database}, not ${describeLeftOut(partial.leftOut)}` : '';
  return dump ? '' : ` to ${describeTarget(target)}${only}`;
}

function placeOf({ dump, into }: RecoveryPlan): string {
  return dump?.into ? `database ${dump.into.name}` : into;
}

/** Hours of work that runs: whoever looks at it may find what no check could. */
export function keep(plan: RecoveryPlan, { journal, undo }: Pick<Recovering, 'journal' | 'undo'>): void {
  undo.clear();
  const { dump, partial, into, host, port } = plan;
  const where = dump?.into ? `database ${dump.into.temporary}` : `${into} on host ${host}, port ${port}`;
  const brought = partial?.bring ? `; on the server there may be database ${partial.bring.into.temporary}` : '';
  journal.attention(`the recovered copy is kept, look at it: ${where}${brought}`);
}

/**
 * A standby streams past the end of the vault. When its primary dies meanwhile, which is what such a run often fails of, it is the
 * last copy of what was committed in between: once it was up, a failure leaves it where any other unfinished copy is removed.
 */
function keepFollower(plan: RecoveryPlan, use: Recovering, error: unknown): void {
  if (plan.standby && use.keepUnproven && !isCancellation(error) && patched(FOLLOWERS_ARE_KEPT)) keep(plan, use);
}

/** Runs that began earlier remove it. */
const FOLLOWERS_ARE_KEPT = 'a standby that was up is kept';

const NO_PHASES = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>;

function phaseTimer(
  journal: Journal,
  waitedMs: NonNullable<RestoreResult['waitedMs']>,
): <T>(phase: Phase, work: () => Promise<T>) => Promise<T> {
  return async (phase, work) => {
    journal.step(phase);
    const before = journal.elapsedMs();
    const waitedBefore = journal.waitedMs;
    const result = await work();
    journal.progress.phases = { ...journal.progress.phases, [phase]: journal.elapsedMs() - before };
    if (journal.waitedMs > waitedBefore) waitedMs[phase] = journal.waitedMs - waitedBefore;
    return result;
  };
}

function notProven(plan: RecoveryPlan, proof: Proof, kept: boolean): Error {
  const bad = proof.checks.filter((check) => !check.ok);
  return failure(
    'Integrity',
    `recovered cluster of ${plan.source} is not proven: ${bad.map((check) => check.name).join(', ')}`,
    {
      place: `${plan.into} on host ${plan.host}, port ${plan.port}`,
      expected: bad.map((check) => check.expected).join('; '),
      found: bad.map((check) => check.found).join('; '),
      hint: `${kept ? 'the copy is kept; look at it, or ' : ''}try another base: lifeboat restore ${plan.source} --point POINT`,
      evidence: proof,
    },
  );
}
