import assert from 'node:assert/strict';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run as runAsServer, withPostgres, withServerDir } from '../support/postgres.ts';
import {
  backupPoint,
  planFor,
  recover,
  recoveryOptions,
  sqlOf,
  standbyOf,
  timeOf,
  valueOf,
  withRestored,
  withScene,
} from '../support/recovery.ts';
import type { Sql } from '../support/recovery.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { plainRun } from '../../activities/io/run.ts';

const LATEST = { target: { kind: 'latest' } } as const;

const settingOf = (sql: Sql, name: string): Promise<string> => valueOf(sql, `select current_setting('${name}')`);

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a copy never archives into, cleans, streams from or waits for what its source names`, async () => {
    const settings = {
      archive_mode: 'on',
      archive_command: 'touch %p.archived',
      archive_cleanup_command: 'touch cleaned',
      recovery_end_command: 'touch ended',
      recovery_min_apply_delay: '1h',
      primary_conninfo: 'host=127.0.0.1 port=1',
      primary_slot_name: 'upstream',
      synchronous_standby_names: '*',
      synchronous_commit: 'local',
      wal_level: 'logical',
    };
    await withScene({ version, settings }, async (scene) => {
      const { server, guard } = scene;
      await server.sql('create table t (id int primary key)');
      await server.sql('select pg_switch_wal(); checkpoint');
      await guard.caughtUp();
      await withRestored(scene, LATEST, async ({ sql, plan }) => {
        for (const name of ['archive_command', 'archive_library', 'archive_cleanup_command', 'recovery_end_command'])
          assert.match(await settingOf(sql, name), /^(\(disabled\))?$/, name);
        for (const name of ['primary_conninfo', 'primary_slot_name', 'synchronous_standby_names', 'restore_command'])
          assert.equal(await settingOf(sql, name), '', name);
        assert.equal(await settingOf(sql, 'archive_mode'), 'off');
        assert.equal(await settingOf(sql, 'listen_addresses'), '127.0.0.1');
        assert.equal(await valueOf(sql, 'select count(*) from pg_replication_slots'), '0');
        assert.equal(await valueOf(sql, 'select count(*) from pg_stat_wal_receiver'), '0');
        // A commit would wait for ever for the standbys that the source has.
        await sql(`set synchronous_commit = on; insert into t values (1); select pg_switch_wal(); checkpoint`);
        for (const name of ['cleaned', 'ended']) await assert.rejects(readFile(join(plan.into, name)), /ENOENT/, name);
        const auto = await readFile(join(plan.into, 'postgresql.auto.conf'), 'utf8');
        assert.doesNotMatch(auto, /^recovery_target/m);
        await runAsServer(join(server.binaries, 'pg_ctl'), ['-D', plan.into, '-l', '/dev/null', '-w', 'restart']);
        assert.equal(await settingOf(sql, 'archive_mode'), 'off');
        assert.equal(await valueOf(sql, 'select count(*) from t'), '1');
      });
    });
  });
}

test('subscriptions of the source do not run on the copy: they would take over its slot at the publisher', async () => {
  await withPostgres({ version: 18, settings: { wal_level: 'logical' } }, async (publisher) => {
    await publisher.sql('create table t (id int primary key)');
    await publisher.sql('create publication p for table t');
    await withScene({ version: 18, settings: { wal_level: 'logical' } }, async (scene) => {
      const { server, guard } = scene;
      await server.sql('create table t (id int primary key)');
      const { port } = publisher;
      await server.sql(
        `create subscription s connection 'host=127.0.0.1 port=${port} user=postgres dbname=postgres' publication p`,
      );
      await guard.caughtUp();
      await withRestored(scene, LATEST, async ({ sql }) => {
        assert.equal(await valueOf(sql, 'select count(*) from pg_subscription'), '1');
        await publisher.sql('insert into t values (1)');
        for (let there = 0; there === 0;) there = Number(await valueOf(server.sql, 'select count(*) from t'));
        assert.equal(await valueOf(sql, 'select count(*) from t'), '0');
        const workers = `select count(*) from pg_stat_activity where backend_type like 'logical replication%'`;
        assert.equal(await valueOf(sql, workers), '0');
      });
      await server.sql('drop subscription s');
    });
  });
});

test('leftovers of an earlier recovery in the files of the source do not become a second target', async () => {
  const old = `recovery_target_time = '2020-01-01 00:00:00+00'\nrecovery_target_action = 'shutdown'\n`;
  await withScene(
    {
      version: 18,
      before: async (server) => {
        await server.sql('create table t (id int primary key)');
        await appendFile(join(server.dataDir, 'postgresql.conf'), old);
        await appendFile(join(server.dataDir, 'postgresql.auto.conf'), `recovery_target_name = 'old'\n`);
      },
    },
    async (scene) => {
      const xid = await valueOf(scene.server.sql, 'insert into t values (1) returning pg_current_xact_id()');
      await scene.server.sql('insert into t values (2)');
      await scene.guard.caughtUp();
      await withRestored(scene, { target: { kind: 'xid', xid, inclusive: true } }, async ({ sql }) => {
        assert.deepEqual(await sql('select id from t'), [{ id: 1 }]);
      });
    },
  );
});

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: settings that were raised on the source after the backup are raised on the copy`, async () => {
    await withScene({ version, settings: { max_connections: '30', max_worker_processes: '4' } }, async (scene) => {
      const { server, guard } = scene;
      await server.sql('create table t (id int primary key)');
      await guard.caughtUp();
      await server.sql(`alter system set max_connections = 60`);
      await server.sql(`alter system set max_prepared_transactions = 7`);
      await server.stop();
      await server.start();
      await server.sql('insert into t values (1)');
      const time = await timeOf(server.sql);
      await server.sql('insert into t values (2)');
      await guard.caughtUp();
      const options = recoveryOptions(server, {
        restore: { ...recoveryOptions(server).restore, startTimeout: '5m', settings: { max_worker_processes: 1 } },
      });
      await withRestored(scene, { target: { kind: 'time', time, inclusive: true }, options }, async ({ sql }) => {
        assert.deepEqual(await sql('select id from t'), [{ id: 1 }]);
        assert.equal(await settingOf(sql, 'max_connections'), '60');
        assert.equal(await settingOf(sql, 'max_prepared_transactions'), '7');
      });
    });
  });
}

test('two copies stand beside each other and beside the source', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, guard } = scene;
    await server.sql('create table t (id int primary key)');
    await server.sql('insert into t values (1)');
    const time = await timeOf(server.sql);
    await server.sql('insert into t values (2)');
    await guard.caughtUp();
    await withRestored(scene, { target: { kind: 'time', time, inclusive: true } }, async (first) => {
      await withRestored(scene, { ...LATEST, run: 'run-2' }, async (second) => {
        await first.sql('insert into t values (10)');
        await second.sql('insert into t values (20)');
        assert.deepEqual(await first.sql('select id from t order by 1'), [{ id: 1 }, { id: 10 }]);
        assert.deepEqual(await second.sql('select id from t order by 1'), [{ id: 1 }, { id: 2 }, { id: 20 }]);
        assert.deepEqual(await server.sql('select id from t order by 1'), [{ id: 1 }, { id: 2 }]);
      });
    });
  });
});

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a base that was taken of a standby becomes a cluster of its own`, async () => {
    await withScene({ version }, async (scene) => {
      const { server, vault, guard } = scene;
      await server.sql('create table t (id int primary key)');
      await withServerDir(async (dir) => {
        const standby = await standbyOf(server, join(dir, 'standby'));
        try {
          await server.sql('insert into t values (1)');
          const lsn = await valueOf(server.sql, 'select pg_current_wal_lsn()');
          const behind = `select pg_last_wal_replay_lsn() < '${lsn}'`;
          while ((await valueOf(standby.sql, behind)) === 'true');
          const point = await backupPoint(standby, vault, 'p2');
          await server.sql('insert into t values (2)');
          await guard.caughtUp();
          await withRestored({ ...scene, guard: { ...guard, point } }, LATEST, async ({ sql }) => {
            assert.deepEqual(await sql('select id from t order by 1'), [{ id: 1 }, { id: 2 }]);
          });
        } finally {
          await standby.stop();
        }
      });
    });
  });
}

test('discard ends its own run only, and may be repeated', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server } = scene;
    await scene.guard.caughtUp();
    await withServerDir(async (dir) => {
      const plan = await planFor(dir, scene.guard, LATEST);
      await recover(server, { vault: scene.vault, plan });
      const again = createRecovery('shop', recoveryOptions(server), plainRun());
      await again.discard({ ...plan, run: 'another run' });
      assert.equal(await valueOf(sqlOf(plan), 'select 1'), '1', 'discard of another run ended it');
      await again.discard(plan);
      await again.discard(plan);
    });
  });
});
