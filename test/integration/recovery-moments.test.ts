import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { Target } from '../../workflows/model/target.ts';
import { until } from '../support/cli-ask.ts';
import { run as runAsServer, withServerDir } from '../support/postgres.ts';
import {
  planFor,
  protect,
  recover,
  recoveryOptions,
  sqlOf,
  timeOf,
  valueOf,
  withRestored,
  withScene,
} from '../support/recovery.ts';
import type { Scene, Sql } from '../support/recovery.ts';

const TABLE = 'create table t (id int primary key)';
const ids = async (sql: Sql): Promise<number[]> =>
  (await sql('select id from t order by id')).map((row) => Number(row['id']));

function at(time: string, inclusive = true): Target {
  return { kind: 'time', time, inclusive };
}

async function rowsAt(scene: Scene, target: Target): Promise<number[]> {
  let rows: number[] = [];
  await withRestored(scene, { target }, async ({ sql }) => void (rows = await ids(sql)));
  return rows;
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: every acknowledged write before the moment is there, and none after it`, async () => {
    await withScene({ version, before: (server) => server.sql(TABLE) }, async (scene) => {
      const { server, guard } = scene;
      const log: { id: number; acknowledgedAt: string }[] = [];
      for (let id = 1; id <= 60; id++) {
        await server.sql(`insert into t values (${id})`);
        log.push({ id, acknowledgedAt: await timeOf(server.sql) });
      }
      await guard.caughtUp();
      for (const mark of [log[9], log[44]]) {
        assert.ok(mark);
        const expected = log.filter((entry) => entry.id <= mark.id).map((entry) => entry.id);
        assert.deepEqual(await rowsAt(scene, at(mark.acknowledgedAt)), expected);
      }
    });
  });

  test(`PostgreSQL ${version}: the exact commit time counts in or out by inclusive`, async () => {
    const before = async (server: { sql: Sql }): Promise<unknown> => server.sql(TABLE);
    await withScene({ version, before, settings: { track_commit_timestamp: 'on' } }, async (scene) => {
      const { sql } = scene.server;
      await sql('insert into t values (1)');
      const xid = await valueOf(sql, 'insert into t values (2) returning pg_current_xact_id()::xid::text');
      await sql('insert into t values (3)');
      const time = await valueOf(
        sql,
        `select to_char(pg_xact_commit_timestamp('${xid}'::xid) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
      );
      await scene.guard.caughtUp();
      assert.deepEqual(await rowsAt(scene, at(time, true)), [1, 2]);
      assert.deepEqual(await rowsAt(scene, at(time, false)), [1]);
      const lsn = await valueOf(sql, 'select pg_current_wal_insert_lsn()');
      await sql('insert into t values (4)');
      await scene.guard.caughtUp();
      assert.deepEqual(await rowsAt(scene, { kind: 'lsn', lsn, inclusive: true }), [1, 2, 3]);
    });
  });
}

test('an idle database: any moment is reachable, because something commits after it', async () => {
  await withScene({ version: 18, before: (server) => server.sql(TABLE) }, async (scene) => {
    const { server, guard } = scene;
    await server.sql('insert into t values (1)');
    const time = await timeOf(server.sql);
    // Nobody writes any more: what the vault gains beyond this position is the heartbeat alone.
    const later = `${BigInt(await valueOf(server.sql, `select (pg_current_wal_lsn() - '0/0'::pg_lsn)::text`)) + 1n}`;
    for (let reached = false; !reached;) {
      reached = (await valueOf(server.sql, `select pg_current_wal_flush_lsn() - '0/0' > ${later}`)) === 'true';
    }
    await guard.caughtUp();
    assert.deepEqual(await rowsAt(scene, at(time)), [1]);
  });
});

test('a moment between PREPARE and COMMIT PREPARED has the transaction prepared, and it can be finished there', async () => {
  const settings = { max_prepared_transactions: '5' };
  await withScene({ version: 18, settings, before: (server) => server.sql(TABLE) }, async (scene) => {
    const { server, guard } = scene;
    const client = await server.connect();
    await client.query(`begin; insert into t values (1)`);
    await client.query(`prepare transaction 'one'`);
    await client.end();
    const time = await timeOf(server.sql);
    await server.sql('insert into t values (2)');
    await server.sql(`commit prepared 'one'`);
    await server.sql('insert into t values (3)');
    await guard.caughtUp();
    await withRestored(scene, { target: at(time) }, async ({ sql }) => {
      assert.deepEqual(await ids(sql), []);
      assert.deepEqual(await sql('select gid from pg_prepared_xacts'), [{ gid: 'one' }]);
      await sql(`commit prepared 'one'`);
      assert.deepEqual(await ids(sql), [1]);
    });
  });
});

test('action pause: the copy waits at its target, comes back there after a restart, and is promoted by hand', async () => {
  await withScene({ version: 18, before: (server) => server.sql(TABLE) }, async (scene) => {
    const { server, guard } = scene;
    await server.sql('insert into t values (1)');
    const time = await timeOf(server.sql);
    await server.sql('insert into t values (2)');
    await guard.caughtUp();
    await withRestored(scene, { target: at(time), action: 'pause' }, async ({ sql, plan }) => {
      assert.equal(await valueOf(sql, 'select pg_is_in_recovery()'), 'true');
      await runAsServer(join(server.binaries, 'pg_ctl'), ['-D', plan.into, '-w', '-m', 'fast', 'restart']);
      for (let state = ''; state !== 'paused';) state = await valueOf(sql, 'select pg_get_wal_replay_pause_state()');
      assert.deepEqual(await ids(sql), [1]);
      await sql('select pg_promote()');
      await sql('insert into t values (9)');
      assert.deepEqual(await ids(sql), [1, 9]);
    });
  });
});

test('a copy that somebody pauses on its way is waited for, and goes on to its target', async () => {
  await withScene({ version: 18, before: (server) => server.sql(TABLE) }, async (scene) => {
    const { server, guard } = scene;
    await server.sql('insert into t values (1)');
    const time = await timeOf(server.sql);
    await server.sql('insert into t values (2)');
    await guard.caughtUp();
    const notes: string[] = [];
    const stopper = new AbortController();
    const run = plainRun({ signal: stopper.signal, progress: ({ note = '' }) => void notes.push(note) });
    const pausedEarly = (): boolean => notes.some((note) => /^paused at .* before the target/.test(note));
    // Holds replay in front of the first commit, so that there is a way to pause on.
    const settings = { recovery_min_apply_delay: '1h' };
    const options = recoveryOptions(server, {
      restore: { ...recoveryOptions(server).restore, startTimeout: '5m', settings },
    });
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, guard, { target: at(time) });
      const sql = sqlOf(plan);
      const recovered = recover(server, { vault: scene.vault, plan, options, run });
      try {
        await until('copy to take sessions', () => sql('select pg_wal_replay_pause()').catch(() => undefined));
        await sql('alter system set recovery_min_apply_delay = 0');
        await sql('select pg_reload_conf()');
        await until('copy to be seen as paused', async () => pausedEarly() || undefined);
        assert.deepEqual(await ids(sql), []);
        await sql('select pg_wal_replay_resume()');
        assert.equal(
          (await recovered).proof.checks.find((check) => !check.ok),
          undefined,
        );
        assert.deepEqual(await ids(sql), [1]);
      } finally {
        stopper.abort(new Error('test is over'));
        await recovered.catch(() => undefined);
        await createRecovery('shop', options, plainRun()).discard(plan);
      }
    });
  });
});

test('action shutdown: the copy is stopped at its target and stands there when it is started', async () => {
  await withScene({ version: 15, before: (server) => server.sql(TABLE) }, async (scene) => {
    const { server, guard } = scene;
    await server.sql('insert into t values (1)');
    const time = await timeOf(server.sql);
    await server.sql('insert into t values (2)');
    await guard.caughtUp();
    await withRestored(scene, { target: at(time), action: 'shutdown' }, async ({ sql, plan }) => {
      assert.ok(!existsSync(join(plan.into, 'postmaster.pid')), 'still running');
      await runAsServer(join(server.binaries, 'pg_ctl'), ['-D', plan.into, '-l', '/dev/null', '-w', 'start']);
      for (let state = ''; state !== 'paused';) state = await valueOf(sql, 'select pg_get_wal_replay_pause_state()');
      assert.deepEqual(await ids(sql), [1]);
    });
  });
});

test('a target that never comes is refused, and so is one inside the base backup', async () => {
  await withScene({ version: 15, before: (server) => server.sql(TABLE) }, async (scene) => {
    await scene.server.sql('insert into t values (1)');
    await scene.guard.caughtUp();
    const never: [Target, RegExp][] = [
      [{ kind: 'xid', xid: '900000', inclusive: true }, /WAL ends before the target/],
      [{ kind: 'name', name: 'never' }, /WAL ends before the target/],
      [{ kind: 'lsn', lsn: 'F/0', inclusive: true }, /WAL ends before the target/],
      [{ kind: 'lsn', lsn: scene.guard.point.startLsn, inclusive: true }, /before the end of the base backup/],
    ];
    for (const [target, says] of never) {
      await withServerDir(async (dir) => {
        const plan = await planFor(dir, scene.guard, { target });
        await assert.rejects(recover(scene.server, { vault: scene.vault, plan }), (error) => {
          assert.equal(failureTypeOf(error), 'Precondition', String(error));
          assert.match(String(error), says);
          return true;
        });
        await createRecovery('shop', recoveryOptions(scene.server), plainRun()).discard(plan);
      });
    }
  });
});

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a second recovery after a first, along the new timeline and along the old`, async () => {
    await withScene({ version, before: (server) => server.sql(TABLE) }, async (scene) => {
      const { server, vault, guard } = scene;
      await server.sql('insert into t values (1)');
      const fork = await timeOf(server.sql);
      await server.sql('insert into t values (2)');
      await guard.caughtUp();
      await guard.stop();
      await withRestored(scene, { target: at(fork) }, async (first) => {
        // The recovered copy becomes the database: it is protected in its turn, in the same vault.
        const heir = { ...server, port: first.plan.port, dataDir: first.plan.into, sql: first.sql };
        heir.connection = { ...server.connection, port: first.plan.port };
        const second = await protect(heir, vault, { pointId: 'p2' });
        await first.sql('insert into t values (100)');
        const time = await timeOf(first.sql);
        await first.sql('insert into t values (101)');
        await second.caughtUp();
        await second.stop();
        assert.equal(second.point.timeline, 2);
        const follow = async (use: object, target: Target): Promise<number[]> => {
          let rows: number[] = [];
          await withRestored(scene, { ...use, target }, async (copy) => void (rows = await ids(copy.sql)));
          return rows;
        };
        assert.deepEqual(await follow({ timeline: 2 }, at(time)), [1, 100], 'old base, new timeline');
        assert.deepEqual(await follow({ timeline: 2 }, { kind: 'latest' }), [1, 100, 101]);
        assert.deepEqual(await follow({ timeline: 1 }, { kind: 'latest' }), [1, 2], 'old base, old timeline');
        let after = 0;
        const fromNew = { ...scene, guard: second };
        await withRestored(fromNew, { target: { kind: 'latest' }, timeline: 2 }, async ({ sql, proof }) => {
          assert.deepEqual(await ids(sql), [1, 100, 101]);
          assert.ok(proof.ok);
          after = Number(
            await valueOf(sql, `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int`),
          );
        });
        assert.equal(after, 3, 'a timeline that nobody has');
      });
    });
  });
}

test('a copy that is stopped between replay and open goes to its target again and opens', async () => {
  await withScene({ version: 18, before: (server) => server.sql(TABLE) }, async (scene) => {
    const { server, vault, guard } = scene;
    await server.sql('insert into t values (1)');
    const time = await timeOf(server.sql);
    await server.sql('insert into t values (2)');
    await guard.caughtUp();
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, guard, { target: at(time) });
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await recovery.prepare(plan);
      await recovery.fetch(plan, await vault.open(plan.base.point));
      const replay = await recovery.replay(plan, vault.wal);
      await runAsServer(join(server.binaries, 'pg_ctl'), ['-D', plan.into, '-w', '-m', 'immediate', 'stop']);
      assert.equal((await recovery.open(plan, vault.wal)).state, 'open');
      assert.ok((await recovery.prove(plan, replay)).ok);
      assert.deepEqual(await ids(sqlOf(plan)), [1]);
      await recovery.discard(plan);
    });
  });
});
