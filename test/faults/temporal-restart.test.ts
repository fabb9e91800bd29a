import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localStack } from '../../workers/dev/stack/compose-file.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { startTemporal } from '../../workers/dev/stack/temporal.ts';
import type { Stack } from '../../workers/dev/stack/index.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { Running, Tenant } from '../support/system.ts';
import { inStep, withSystem } from '../support/system.ts';
import { assertHolds, assertRestorable, assertTidy } from '../support/system-survival.ts';
import { shippedTo } from '../support/system-vault.ts';

const DB_FILE = 'temporal.db';

test('the Temporal server is killed in the middle of a backup and of a restore', () =>
  withSystem(
    async (system) => {
      const { server, orders, vault, stack } = system;
      const slow = { backup: { partSize: '1MiB', maxRate: '4MiB' } };
      const tenant = await system.tenant({ name: 'home', source: 'shop', more: slow, productQueue: true });
      const worker = await tenant.startProductWorker();
      const servers = { temporal: { pid: stack.temporal.pid, exited: stack.ended as Promise<unknown> } };

      const backup = await tenant.start<PointSummary>('backup', { source: 'shop' }, workflowId.backup('shop'));
      await inStep(backup, ['takeBackup']);
      await restartTemporal(stack, servers);
      assert.equal((await resultOf(tenant, backup)).kind, 'full');

      const mark = await orders.mark(server);
      await shippedTo(vault, 'shop', mark.lsn);
      const restore = await tenant.start<RestoreResult>('restore', { source: 'shop' }, workflowId.restore('shop'));
      await inStep(restore, ['fetchBase', 'replayWal', 'openCluster', 'proveCluster']);
      await restartTemporal(stack, servers);
      await assertHolds(tenant, await resultOf(tenant, restore), mark);

      await assertRestorable(tenant);
      await assertTidy(tenant);
      const ended = await Promise.race([worker.exited, Promise.resolve('works on')]);
      assert.equal(ended, 'works on');
    },
    { temporalDbFile: DB_FILE },
  ));

interface Servers {
  temporal: { pid: number; exited: Promise<unknown> };
}

/** SIGKILL, then the same server on the same ports and the same file. */
async function restartTemporal(stack: Stack, servers: Servers): Promise<void> {
  process.kill(servers.temporal.pid, 'SIGKILL');
  await servers.temporal.exited;
  const { temporal: program } = await ensureTools(['temporal'], { log: () => undefined });
  const portOf = (address: string): number => Number(address.split(':').at(-1));
  const { pid } = await startTemporal({
    ...{ program, plan: localStack().temporal, dir: stack.dir, dbFile: `${stack.dir}/${DB_FILE}` },
    ports: { grpc: portOf(stack.temporal.address), ui: portOf(stack.temporal.ui) },
    ...{ dynamicConfig: [], searchAttributes: true, stopSignal: 'KILL', signal: new AbortController().signal },
    start: ({ name, command, args, env }) => {
      const started = stack.spawn(name, command, args, { env });
      servers.temporal = { pid: started.pid, exited: started.exited };
      return started;
    },
  });
  assert.equal(servers.temporal.pid, pid);
}

/** Asked afresh: the connection that waited has been cut. */
function resultOf<T>({ system }: Tenant, { handle }: Running<T>): Promise<T> {
  return system.client.workflow.getHandle(handle.workflowId).result() as Promise<T>;
}
