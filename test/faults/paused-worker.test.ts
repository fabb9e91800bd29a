import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { VerifyResult } from '../../workflows/model/results.ts';
import type { Running, Tenant } from '../support/system.ts';
import { inStep, withSystem } from '../support/system.ts';
import { assertHolds, assertRestorable, backUp } from '../support/system-survival.ts';
import { shippedTo } from '../support/system-vault.ts';

const SLOW = { partSize: '1MiB', maxRate: '4MiB' };

async function pausedIn(
  tenant: Tenant,
  run: Running<unknown>,
  step: 'takeBackup' | 'fetchBase',
): Promise<() => Promise<void>> {
  const worker = await tenant.startWorker();
  await inStep(run, [step]);
  worker.kill('SIGSTOP');
  return async () => {
    worker.kill('SIGCONT');
    // It hears with its next heartbeats that nobody waits for it, and takes orders again: then it is idle.
    worker.kill('SIGTERM');
    assert.deepEqual(await worker.exited, { code: 0, signal: null });
  };
}

describe('a worker that was paused for longer than it may be silent', { concurrency: 2 }, () => {
  test('in a backup: it does no harm when it goes on', () =>
    withSystem(async (system) => {
      const tenant = await system.tenant({ name: 'paused', source: 'shop', more: { backup: SLOW } });
      const backup = await tenant.start<PointSummary>('backup', { source: 'shop' }, workflowId.backup('shop'));
      const goOn = await pausedIn(tenant, backup, 'takeBackup');
      await tenant.startWorker();
      const { point } = await backup.result;
      await goOn();
      const id = workflowId.verify('shop', point);
      const { result } = await tenant.start<VerifyResult>('verify', { source: 'shop', point }, id);
      assert.ok((await result).checks.every(({ ok }) => ok));
      await assertRestorable(tenant);
    }));

  test('in a restore: it does no harm when it goes on', () =>
    withSystem(async (system) => {
      const { orders, server, vault } = system;
      const home = await system.tenant({ name: 'home', source: 'shop' });
      await home.startWorker();
      await backUp(home);
      const mark = await orders.mark(server);
      await shippedTo(vault, 'shop', mark.lsn);
      const tenant = await system.tenant({ name: 'paused', source: 'shop' });
      const restore = await tenant.start<RestoreResult>('restore', { source: 'shop' }, workflowId.restore('shop'));
      const goOn = await pausedIn(tenant, restore, 'fetchBase');
      await tenant.startWorker();
      await inStep(restore, ['fetchBase'], 2).then(goOn);
      await assertHolds(tenant, await restore.result, mark);
    }));
});
