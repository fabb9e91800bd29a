import type { Brought } from '../workflows/model/partial.ts';
import type {
  Discarded,
  FetchEvidence,
  OpenEvidence,
  Proof,
  RecoveryPlan,
  ReplayEvidence,
} from '../workflows/model/recovery.ts';
import { failure, findFailure, isRetryable } from '../workflows/model/failure.ts';
import type { StandbyEvidence } from '../workflows/model/standby.ts';
import { provenToFollow } from '../workflows/model/standby.ts';
import { attempt } from './activity-run.ts';
import type { Deps } from './deps.ts';
import { endUse } from './in-use.ts';
import { isoTime } from './io/clock.ts';
import type { Restoring } from './sources/source.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** The steps of a recovery, each on the host of the plan; each may be repeated and goes on where it stopped. */

export function prepareTarget(deps: Deps, plan: RecoveryPlan): Promise<void> {
  return useSource(deps, plan.source, ({ session }) => session.recovery.prepare(plan));
}

export function fetchBase(deps: Deps, plan: RecoveryPlan): Promise<FetchEvidence> {
  return useSource(deps, plan.source, async ({ session, vault }) =>
    session.recovery.fetch(plan, await vault.open(plan.base.point)),
  );
}

export function replayWal(deps: Deps, plan: RecoveryPlan): Promise<ReplayEvidence> {
  return useSource(deps, plan.source, ({ session: { recovery }, vault }) => {
    if (recovery.replay) return recovery.replay(plan, vault.wal);
    throw failure('Bug', `source ${plan.source} has nothing to replay`, { place: plan.source });
  });
}

export function openCluster(deps: Deps, plan: RecoveryPlan): Promise<OpenEvidence> {
  return useSource(deps, plan.source, ({ session, vault }) => session.recovery.open(plan, vault.wal));
}

export function proveCluster(
  deps: Deps,
  { plan, replay, follows }: { plan: RecoveryPlan; replay?: ReplayEvidence; follows?: StandbyEvidence },
): Promise<Proof> {
  return useSource(deps, plan.source, async ({ session, vault, run }) => {
    const copy = await session.recovery.prove(plan, replay, () => vault.open(plan.base.point));
    const proof = provenToFollow(copy, plan, follows);
    // The proof is what somebody waits for; that retention hears of it can wait for the next one.
    if (proof.ok && isWhole(plan))
      await vault
        .noteChecked(plan.base.point, { provenAt: isoTime(run.clock.nowMs()) })
        .catch((error: unknown) => run.log.warn('the proof could not be noted in the vault', { error: String(error) }));
    return proof;
  });
}

/** Of a part, nobody knows whether the rest of the point can be restored. */
function isWhole({ partial, dump }: RecoveryPlan): boolean {
  return !partial && dump?.database === undefined && dump?.schema === undefined && dump?.table === undefined;
}

export function bringOver(deps: Deps, plan: RecoveryPlan): Promise<Brought> {
  return useSource(deps, plan.source, ({ session: { recovery } }) => {
    if (recovery.bring) return recovery.bring(plan);
    throw failure('Bug', `source ${plan.source} has nothing to bring over`, { place: plan.source });
  });
}

export function finishRestore(deps: Deps, plan: RecoveryPlan): Promise<void> {
  return useSource(deps, plan.source, async (use) => {
    await use.session.recovery.finish(plan);
    await letGo(use);
  });
}

/** Attempts that a server gets to answer before what stands there is left to people; about a quarter of a minute of pauses. */
const SERVER_ATTEMPTS = 5;

/** A server that is away, which a restore is often about, keeps nothing here from being removed, and the run from its end. */
export function discardRestore(deps: Deps, plan: RecoveryPlan): Promise<Discarded> {
  return useSource(deps, plan.source, async (use) => {
    const left = await leftOnServer(use.session.recovery, plan);
    await use.session.recovery.discard(plan);
    await letGo(use);
    return left === undefined ? {} : { left };
  });
}

async function leftOnServer(recovery: Restoring, plan: RecoveryPlan): Promise<string | undefined> {
  try {
    await recovery.dropBrought?.(plan);
    return undefined;
  } catch (error) {
    const known = findFailure(error);
    if ((!known || isRetryable(known)) && attempt() < SERVER_ATTEMPTS) throw error;
    return `drop database ${unnamedOf(plan)}, if it is there: ${known?.message ?? String(error)}`;
  }
}

/** What a database is called on the server until it gets its name. */
function unnamedOf({ partial, dump }: RecoveryPlan): string {
  return (partial?.bring?.into ?? dump?.into)?.temporary ?? '';
}

/** A store that is away keeps nobody from a copy that is there: the note of a run that is over counts for nothing. */
async function letGo(use: SourceUse): Promise<void> {
  await endUse(use).catch((error: unknown) => use.run.log.warn('a note of use stays', { error: String(error) }));
}
