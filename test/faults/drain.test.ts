import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { Running, System, Tenant } from '../support/system.ts';
import { inStep, withSystem } from '../support/system.ts';
import { assertRestorable, assertTidy } from '../support/system-survival.ts';

/** What composeWorkers gives a worker, with reserve for a machine that does other things. */
const DRAIN_MS = 30_000;
/** Of a kill to the next attempt: the promise is 15 s; a heartbeat timeout of 10 s and a first delay of 1 s are in it. */
const NOTICED_MS = 15_000;
const INSIST_MS = 20;

interface Busy {
  tenant: Tenant;
  backup: Running<PointSummary>;
}

/** A worker that streams WAL and takes a backup that lasts. */
async function busyWorker(
  system: System,
  name: string,
): Promise<Busy & { worker: Awaited<ReturnType<Tenant['startProductWorker']>> }> {
  const slow = { backup: { partSize: '1MiB', maxRate: '4MiB' } };
  const tenant = await system.tenant({ name, source: name, more: slow, productQueue: true });
  const worker = await tenant.startProductWorker();
  const backup = await tenant.start<PointSummary>('backup', { source: name }, workflowId.backup(name));
  await inStep(backup, ['takeBackup']);
  return { tenant, worker, backup };
}

async function goesOn({ tenant, backup }: Busy): Promise<void> {
  assert.equal((await backup.result).kind, 'full');
  await assertRestorable(tenant);
  await assertTidy(tenant);
}

describe('a worker that ends', { concurrency: 3 }, () => {
  test('SIGTERM ends a worker within its grace, and another one takes over its stream and its backup', () =>
    withSystem(async (system) => {
      const busy = await busyWorker(system, 'drained');
      const askedMs = Date.now();
      busy.worker.kill('SIGTERM');
      assert.deepEqual(await busy.worker.exited, { code: 0, signal: null });
      assert.ok(Date.now() - askedMs < DRAIN_MS, `took ${Date.now() - askedMs} ms`);
      await busy.tenant.startProductWorker();
      await goesOn(busy);
    }));

  test('a second signal ends a worker at once', () =>
    withSystem(async (system) => {
      const busy = await busyWorker(system, 'impatient');
      // Two that are sent at once are one to a process: the second has to come when the first was heard.
      const insisting = setInterval(() => busy.worker.kill('SIGTERM'), INSIST_MS);
      const ended = await busy.worker.exited;
      clearInterval(insisting);
      assert.deepEqual(ended, { code: null, signal: 'SIGTERM' });
      await busy.tenant.startProductWorker();
      await goesOn(busy);
    }));

  test('the death of a worker is noticed, and its backup goes on elsewhere within 15 s', () =>
    withSystem(async (system) => {
      const slow = { backup: { partSize: '1MiB', maxRate: '2MiB' } };
      const tenant = await system.tenant({ name: 'killed', source: 'killed', more: slow, productQueue: true });
      const workers = await Promise.all(['one', 'two'].map((host) => tenant.startProductWorker(host)));
      const backup = await tenant.start<PointSummary>('backup', { source: 'killed' }, workflowId.backup('killed'));
      const busy = { tenant, backup };
      const { worker } = await inStep(backup, ['takeBackup']);
      const victim = workers[worker === 'lifeboat@one' ? 0 : 1];
      const killedMs = Date.now();
      victim?.kill('SIGKILL');
      await victim?.exited;
      const { startedMs } = await inStep(backup, ['takeBackup'], 2);
      assert.ok(startedMs - killedMs < NOTICED_MS, `noticed after ${startedMs - killedMs} ms`);
      await goesOn(busy);
    }));
});
