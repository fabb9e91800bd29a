import assert from 'node:assert/strict';
import type { StackProcess } from '../../workers/dev/stack/index.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { Tenant } from './system.ts';
import { stopRecovered } from './system.ts';
import { inOnePiece, shippedTo, unfinishedPoints } from './system-vault.ts';
import type { Death } from './victim.ts';

/**
 * Lets one worker after the other die where it is told to, and a last one live. Fails when the run ends before a worker
 * has died: then the place was not reached, and nothing was tried.
 */
export async function survive(
  tenant: Tenant,
  deaths: readonly Death[],
  result: Promise<unknown>,
): Promise<StackProcess> {
  for (const death of deaths) {
    const worker = await tenant.startWorker({ dies: death });
    await killedBy(worker, death, result);
  }
  return tenant.startWorker();
}

export async function killedBy(worker: StackProcess, death: Death, result: Promise<unknown>): Promise<void> {
  const place = `${death.side} ${death.activity}`;
  const over = result.then(
    () => 'the run ended without it',
    (error: unknown) => `the run failed before: ${String(error)}`,
  );
  const ended = await Promise.race([worker.exited, over]);
  assert.deepEqual(ended, { code: null, signal: 'SIGKILL' }, place);
}

/** Takes a backup with whatever worker the tenant has. */
export async function backUp(tenant: Tenant): Promise<PointSummary> {
  const { source } = tenant;
  const { result } = await tenant.start<PointSummary>('backup', { source }, workflowId.backup(source));
  return result;
}

/** Restores the newest moment and counts: everything that was acknowledged is there, and nothing else. */
export async function assertRestorable(tenant: Tenant): Promise<void> {
  const { system, source } = tenant;
  const mark = await system.orders.mark(system.server);
  await shippedTo(system.vault, source, mark.lsn);
  const { result } = await tenant.start<RestoreResult>('restore', { source }, workflowId.restore(source));
  await assertHolds(tenant, await result, mark);
}

type Mark = Awaited<ReturnType<Tenant['system']['orders']['mark']>>;

/** A recovered cluster has all that was acknowledged before the mark, and nothing that never was; it is ended then. */
export async function assertHolds(tenant: Tenant, restored: RestoreResult, mark: Mark): Promise<void> {
  const { orders } = tenant.system;
  const count = await orders.countIn(restored.open.port, mark);
  const acknowledged = mark.acknowledged.size;
  assert.deepEqual(count, { acknowledged, found: acknowledged, extra: 0 });
  assert.ok(acknowledged > 0);
  assert.equal(restored.proof.ok, true);
  await stopRecovered(tenant, restored.open.dataDirectory);
}

/** The vault of a source is as a run has to leave it: no draft, no hole. */
export async function assertTidy({ system, source }: Tenant): Promise<void> {
  assert.deepEqual(await unfinishedPoints(system.vault, source), [], 'unfinished points');
  await inOnePiece(system.vault, source);
}
