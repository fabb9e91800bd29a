import type { FetchEvidence, OpenEvidence, Proof, RecoveryPlan, ReplayEvidence } from '../workflows/model/recovery.ts';
import type { Deps } from './deps.ts';
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
  return useSource(deps, plan.source, ({ session, vault }) => session.recovery.replay(plan, vault.wal));
}

export function openCluster(deps: Deps, plan: RecoveryPlan): Promise<OpenEvidence> {
  return useSource(deps, plan.source, ({ session, vault }) => session.recovery.open(plan, vault.wal));
}

export function proveCluster(
  deps: Deps,
  { plan, replay }: { plan: RecoveryPlan; replay: ReplayEvidence },
): Promise<Proof> {
  return useSource(deps, plan.source, ({ session }) => session.recovery.prove(plan, replay));
}

export function finishRestore(deps: Deps, plan: RecoveryPlan): Promise<void> {
  return useSource(deps, plan.source, ({ session }) => session.recovery.finish(plan));
}

export function discardRestore(deps: Deps, plan: RecoveryPlan): Promise<void> {
  return useSource(deps, plan.source, ({ session }) => session.recovery.discard(plan));
}
