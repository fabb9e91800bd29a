import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import pg from 'pg';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { Target } from '../../workflows/model/target.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { planFor, protect, recover, recoveryOptions } from '../support/recovery.ts';
import type { Protected } from '../support/recovery.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { withPostgres, withServerDir } from '../support/postgres.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { testVault } from '../support/vault.ts';

interface Marks {
  /** Of the third insert. */
  xid: string;
  lsnBefore: string;
  time: string;
}

interface Scene {
  server: TestPostgres;
  vault: Vault;
  guard: Protected;
  marks: Marks;
}

/** Rows 1..2 before the marks, row 3 at the xid, rows 4..5 after the time; then everything is deleted. */
async function withScene(version: number, callback: (scene: Scene) => Promise<void>): Promise<void> {
  await withPostgres({ version, settings: { max_prepared_transactions: '5' } }, async (server) => {
    await withTempDir(async (dir) => {
      await using vault = await (await testVault(dir)).open();
      await server.sql('create table t (id int primary key)');
      await server.sql('insert into t values (1)');
      const guard = await protect(server, vault);
      await server.sql('insert into t values (2)');
      await server.sql(`select pg_create_restore_point('two')`);
      const lsnBefore = String((await server.sql('select pg_current_wal_insert_lsn()::text as l'))[0]?.['l']);
      const xid = String(
        (await server.sql('insert into t values (3) returning pg_current_xact_id()::text as x'))[0]?.['x'],
      );
      const time = String(
        (
          await server.sql(`select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as t`)
        )[0]?.['t'],
      );
      await server.sql('insert into t values (4)');
      await server.sql('insert into t values (5)');
      await server.sql('delete from t');
      await guard.caughtUp();
      await guard.stop();
      await callback({ server, vault, guard, marks: { xid, lsnBefore, time } });
    });
  });
}

async function rowsOf(plan: RecoveryPlan): Promise<number[]> {
  const client = new pg.Client({ host: '127.0.0.1', port: plan.port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return (await client.query('select id from t order by id')).rows.map((row: { id: number }) => row.id);
  } finally {
    await client.end();
  }
}

async function rowsAt(scene: Scene, target: Target, overrides: Partial<RecoveryPlan> = {}): Promise<number[]> {
  return withServerDir(async (dir) => {
    const plan = await planFor(dir, scene.guard, { target, ...overrides });
    const recovery = createRecovery('shop', recoveryOptions(scene.server), plainRun());
    try {
      const { proof } = await recover(scene.server, { vault: scene.vault, plan });
      assert.deepEqual(
        proof.checks.filter((check) => !check.ok),
        [],
      );
      return await rowsOf(plan);
    } finally {
      await recovery.discard(plan);
      assert.ok(!existsSync(plan.into), 'discard left the directory');
    }
  });
}

for (const version of [15, 17, 18]) {
  test(`PostgreSQL ${version}: each kind of target gives exactly the rows of its moment`, async () => {
    await withScene(version, async (scene) => {
      const { xid, lsnBefore, time } = scene.marks;
      assert.deepEqual(await rowsAt(scene, { kind: 'time', time, inclusive: true }), [1, 2, 3], 'time');
      assert.deepEqual(await rowsAt(scene, { kind: 'xid', xid, inclusive: true }), [1, 2, 3], 'xid');
      assert.deepEqual(await rowsAt(scene, { kind: 'xid', xid, inclusive: false }), [1, 2], 'xid exclusive');
      assert.deepEqual(await rowsAt(scene, { kind: 'lsn', lsn: lsnBefore, inclusive: false }), [1, 2], 'lsn exclusive');
      assert.deepEqual(await rowsAt(scene, { kind: 'name', name: 'two' }), [1, 2], 'name');
      assert.deepEqual(await rowsAt(scene, { kind: 'immediate' }), [1], 'immediate');
      assert.deepEqual(await rowsAt(scene, { kind: 'latest' }), [], 'latest');
      assert.deepEqual(
        await rowsAt(scene, { kind: 'time', time, inclusive: true }, { action: 'pause' }),
        [1, 2, 3],
        'paused',
      );
    });
  });
}

test('a target beyond the end of the WAL is refused by the server and told as such', async () => {
  await withScene(18, async (scene) => {
    const future = new Date(Date.now() + 3_600_000).toISOString();
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, scene.guard, { target: { kind: 'time', time: future, inclusive: true } });
      await assert.rejects(recover(scene.server, { vault: scene.vault, plan }), (error) => {
        assert.equal(failureTypeOf(error), 'Precondition', String(error));
        assert.match(String(error), /WAL ends before the target/);
        return true;
      });
      await createRecovery('shop', recoveryOptions(scene.server), plainRun()).discard(plan);
    });
  });
});
