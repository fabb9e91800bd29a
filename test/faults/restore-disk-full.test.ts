import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { fullDiskOf } from '../../workflows/model/full-disk.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { RestorePreview } from '../../workflows/model/results.ts';
import type { RunProgress } from '../../workflows/messages.ts';
import { withServerDir } from '../support/postgres.ts';
import { assertHolds, assertTidy, backUp } from '../support/system-survival.ts';
import { until } from '../support/system-until.ts';
import { shippedTo } from '../support/system-vault.ts';
import { withSystem } from '../support/system.ts';
import { planFor, recoveryOptions, sqlOf, tableSums, timeOf, withScene } from '../support/recovery.ts';

const root = process.getuid?.() === 0;
const skip = root ? false : 'a file system of limited size can be mounted by root only';

const mount = (...args: string[]): void => {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
};

/** A file system of its own that can grow. */
async function withDisk(
  megabytes: number,
  callback: (disk: { path: string; grow(to: number): void }) => Promise<void>,
): Promise<void> {
  await withServerDir(async (dir) => {
    const path = join(dir, 'disk');
    await mkdir(path);
    mount('-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', path);
    try {
      await callback({ path, grow: (to) => mount('-o', `remount,size=${to}m`, path) });
    } finally {
      spawnSync('umount', ['-l', path]);
    }
  });
}

test(
  'a disk that is full during fetch and during replay: said plainly, and with more room it goes on',
  { skip },
  async () => {
    await withScene({ version: 18, settings: { wal_level: 'replica' } }, async (scene) => {
      const { server, vault, guard } = scene;
      await server.sql('create table t as select g as id, md5(g::text) as body from generate_series(1, 400000) g');
      await server.sql('update t set body = body || id');
      const expected = await tableSums(server.sql);
      const time = await timeOf(server.sql);
      await server.sql('delete from t');
      await guard.caughtUp();
      await withDisk(12, async (disk) => {
        const plan = await planFor(disk.path, guard, { target: { kind: 'time', time, inclusive: true } });
        const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
        await assert.rejects(recovery.prepare(plan), (error) => {
          assert.match(String(error), /too small for the restore/);
          return failureTypeOf(error) === 'Precondition';
        });
        // Somebody else takes the room after the check.
        const short = { ...plan, estimate: { ...plan.estimate, fetchBytes: 0 } };
        await recovery.prepare(short);
        const reader = await vault.open(plan.base.point);
        const full = (error: unknown): boolean => {
          assert.equal(failureTypeOf(error), 'Precondition', String(error));
          assert.match(String(error), /full/);
          assert.match(failureFacts(error).hint ?? '', /it continues/);
          assert.equal(fullDiskOf(error)?.path, short.into);
          return true;
        };
        await assert.rejects(recovery.fetch(short, reader), full);
        disk.grow(60);
        const fetched = await recovery.fetch(short, reader);
        assert.ok(fetched.resumedParts > 0, 'nothing was resumed');
        await assert.rejects(recovery.replay(short, vault.wal), full);
        disk.grow(1500);
        const replay = await recovery.replay(short, vault.wal);
        await recovery.open(short, vault.wal);
        assert.ok((await recovery.prove(short, replay)).ok);
        assert.deepEqual(await tableSums(sqlOf(short)), expected);
        await recovery.discard(short);
      });
    });
  },
);

/** What the base needs, as the check before the restore has it, and not enough for a segment of WAL beside it. */
const SPARE_MEGABYTES = 10;

test(
  'a disk that is full while WAL is replayed: the run waits and says what to free, then goes on by itself',
  { skip },
  () =>
    withSystem(async (system) => {
      const tenant = await system.tenant({ name: 'full', source: 'shop' });
      await tenant.startWorker();
      await backUp(tenant);
      const mark = await system.orders.mark(system.server);
      await shippedTo(system.vault, 'shop', mark.lsn);
      const asked = await tenant.start<RestorePreview>('restore', { source: 'shop', preview: true }, 'preview');
      const { plan } = await asked.result;
      const megabytes = Math.ceil((plan.estimate.fetchBytes * 1.05) / 2 ** 20) + SPARE_MEGABYTES;
      await withDisk(megabytes, async (disk) => {
        const order = { source: 'shop', into: join(disk.path, 'restored') };
        const run = await tenant.start<RestoreResult>('restore', order, workflowId.restore('shop'));
        const progress = (): Promise<RunProgress> => run.handle.query<RunProgress>('progress');
        const told = await until('the run to say that the disk is full', async () => {
          const seen = await progress();
          return seen.attention === undefined ? undefined : seen;
        });
        assert.match(told.attention ?? '', /the disk of .*restored is full \(.* free\): free space there/);
        assert.deepEqual([told.step, told.outcome], ['replay', 'running']);
        disk.grow(1500);
        const restored = await run.result;
        assert.ok(restored.proof.ok);
        assert.equal((await progress()).attention, undefined);
        await assertHolds(tenant, restored, mark);
      });
      await assertTidy(tenant);
    }),
);
