import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { Recovery } from '../../activities/sources/source.ts';
import type { UpstreamWish } from '../../activities/sources/standby-wishes.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { Following, Standby } from '../support/following.ts';
import { makeStandby, PASSWORD, untilSame, withFollowing } from '../support/following.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { makeOwned, run, withServerDir } from '../support/postgres.ts';
import { planFor, recoveryOptions, tableSums, valueOf } from '../support/recovery.ts';
import { withStandby } from '../support/standby.ts';

const LATEST = { target: { kind: 'latest' }, action: 'pause' } as const;
const SHARED = 'tablespaces on one host';
const COUNT = 'select count(*) from t';

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a restore goes on as a standby, of the primary and of the vault alone`, async (t) => {
    await withFollowing(version, async (scene) => {
      await streaming(t, scene);
      if (version === 15) return;
      await archive(t, scene);
      await refused(t, scene);
    });
  });

  test(`PostgreSQL ${version}: an old primary is made a standby of the new one where it stands`, async () => {
    await withFollowing(version, reseeded);
  });
}

async function streaming(t: TestContext, scene: Following): Promise<void> {
  const { server, vault, guard, relay } = scene;
  process.env['LIFEBOAT_TEST_FOLLOWER'] = PASSWORD;
  const connection = { ...server.connection, user: 'follower', password: { env: 'LIFEBOAT_TEST_FOLLOWER' } };
  const options = recoveryOptions(server, { connection });
  const recovery = createRecovery('shop', options, plainRun());
  const slot = 'follower';
  await server.sql(`select pg_create_physical_replication_slot('${slot}', true)`);
  await withServerDir(async (dir) => {
    const primary = await recovery.upstream?.({ base: guard.point, timeline: 1, slot });
    assert.ok(primary);
    assert.deepEqual(primary, { host: '127.0.0.1', port: server.port });
    const standby = { follow: 'streaming', primary, slot, fetch: relay.fetch } as const;
    const plan = await planFor(dir, guard, { ...LATEST, standby });
    assert.ok(!JSON.stringify(plan).includes(PASSWORD));
    try {
      const made = await makeStandby(plan, vault, options);
      await t.test('it streams, with its slot and without a word of the password', () => streams(scene, made));
      // Each file that it fetches starts a Node: on one version.
      const restarted = 'restarted, it takes from the vault what its primary has not any more, and streams again';
      if (server.version === 15) await t.test(restarted, () => fallsBack(scene, made));
      await t.test('a standby is no server to stream from', async () => {
        const wish = { base: guard.point, timeline: 1, server: `127.0.0.1:${plan.port}` };
        await assert.rejects(async () => recovery.upstream?.(wish), /is a standby itself/);
      });
    } finally {
      await recovery.discard(plan);
    }
    assert.ok(!existsSync(plan.into) && !existsSync(`${plan.into}.lifeboat`));
  });
}

async function streams({ server }: Following, { plan, proof, open, sql }: Standby): Promise<void> {
  const names = proof.checks.map((check) => check.name);
  for (const name of ['streams from its primary', 'replay passes a marker', 'system identifier', 'restore_command'])
    assert.ok(names.includes(name), names.join(', '));
  assert.equal(open.state, 'standby');
  await server.sql(`insert into t values (-1, 'marker')`);
  await untilSame(sql, `select body from t where id = -1`, 'marker');
  assert.deepEqual(await tableSums(sql), await tableSums(server.sql));
  // What the primary sees is the oracle.
  const seen = `select state from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where slot_name = 'follower'`;
  assert.equal(await valueOf(server.sql, seen), 'streaming');
  await assert.rejects(sql('insert into t values (0)'), /read-only/);
  const shown = await sql('select name, setting from pg_settings');
  const settings = Object.fromEntries(shown.map(({ name, setting }) => [String(name), String(setting)]));
  assert.equal(settings['archive_mode'], 'off');
  assert.equal(settings['recovery_target_timeline'], 'latest');
  assert.match(settings['restore_command'] ?? '', / wal-fetch shop "%f" "%p" --config .* --standby --keep-inside$/);
  assert.ok(!JSON.stringify(shown).includes('cr\\'), settings['primary_conninfo']);
  const [passfile] = /(?<=passfile=')[^']+/.exec(settings['primary_conninfo'] ?? '') ?? [];
  assert.equal((await stat(passfile ?? '')).mode & 0o777, 0o600);
  assert.ok(existsSync(join(plan.into, 'standby.signal')) && !existsSync(join(plan.into, 'recovery.signal')));
  await untilSame(sql, 'show max_standby_streaming_delay', '30s');
  assert.deepEqual(
    (await readdir(`${plan.into}.lifeboat`)).filter((name) => name === 'spool'),
    [],
  );
}

async function control({ server }: Following, { plan }: Pick<Standby, 'plan'>, ...words: string[]): Promise<void> {
  // Each file that it fetches starts a Node.
  await run(join(server.binaries, 'pg_ctl'), ['-D', plan.into, '-l', `${plan.into}.log`, '-w', '-t', '900', ...words]);
}

async function fallsBack(scene: Following, made: Standby): Promise<void> {
  const { server, guard, relay } = scene;
  const brought = relay.brought.length;
  await control(scene, made, '-m', 'fast', 'stop');
  await server.sql(`select pg_drop_replication_slot('follower')`);
  const needed = await valueOf(server.sql, 'select pg_walfile_name(pg_current_wal_lsn())');
  for (let round = 0; existsSync(join(server.dataDir, 'pg_wal', needed)); round++) {
    assert.ok(round < 100, 'the primary keeps its WAL');
    await server.sql(`insert into t values (-2, 'while it was away')`);
    await server.sql('select pg_switch_wal()');
    await guard.caughtUp();
    await server.sql('checkpoint');
  }
  await server.sql(`select pg_create_physical_replication_slot('follower', true)`);
  await control(scene, made, 'start');
  await server.sql(`insert into t values (-3, 'marker')`);
  await untilSame(made.sql, `select body from t where id = -3`, 'marker');
  assert.equal(await valueOf(made.sql, 'select status from pg_stat_wal_receiver'), 'streaming');
  assert.ok(relay.brought.slice(brought).includes(needed), relay.brought.join(', '));
  assert.deepEqual(await tableSums(made.sql), await tableSums(server.sql));
}

async function archive(t: TestContext, scene: Following): Promise<void> {
  const { server, vault, guard, relay } = scene;
  // Nobody listens there: a standby of the vault asks no server.
  const connection = { ...server.connection, port: await freePort() };
  const restore = { ...recoveryOptions(server).restore, startTimeout: '5m' };
  const settings = { wal_retrieve_retry_interval: '500ms' };
  const options = recoveryOptions(server, { connection, restore: { ...restore, settings } });
  await withServerDir(async (dir) => {
    const plan = await planFor(dir, guard, { ...LATEST, standby: { follow: 'archive', fetch: relay.fetch } });
    try {
      await guard.caughtUp();
      const made = await makeStandby(plan, vault, { ...options, meanwhile: () => raised(scene) });
      await t.test(
        'raised settings reach it while it is handed over, and it asks nobody who will be gone',
        async () => {
          assert.equal(await valueOf(made.sql, 'show max_connections'), String(RAISED));
          assert.match(await valueOf(made.sql, 'show restore_command'), / wal-fetch shop /);
        },
      );
      await t.test('it follows what the vault gets, with no stream', async () => {
        assert.deepEqual(await tableSums(made.sql), await tableSums(server.sql));
        await server.sql(`insert into t values (-4, 'later')`);
        await untilSame(made.sql, `select body from t where id = -4`, 'later');
        await server.sql('select pg_switch_wal()');
        await server.sql(`insert into t values (-5, 'in another segment')`);
        await untilSame(made.sql, COUNT, await valueOf(server.sql, COUNT));
        assert.deepEqual(await made.sql('select * from pg_stat_wal_receiver'), []);
        assert.equal(await valueOf(made.sql, 'show primary_conninfo'), '');
        assert.ok(relay.brought.length > 0);
        // What it may still ask by the command of its recovery.
        assert.equal(
          spawnSync(`${plan.into}.lifeboat/restore-command.sh`, ['00000002.history', '/dev/null']).status,
          1,
        );
      });
      await t.test('a tablespace of the primary is made in the standby, not at the place of the primary', async () => {
        const there = join(server.dataDir, '..', 'space');
        await makeOwned(there);
        await server.sql(`create tablespace space location '${there}'`);
        await server.sql('create table s tablespace space as select 1 as id');
        await untilSame(made.sql, 'select count(*) from s', '1');
        const location = `select pg_tablespace_location(oid) from pg_tablespace where spcname = 'space'`;
        assert.match(await valueOf(made.sql, location), /^pg_tblspc\/\d+$/);
        assert.equal(await valueOf(server.sql, location), there);
      });
      await t.test('promoted before its run has ended, it is left as it is, and runs', () =>
        promotedStays(scene, made, createRecovery('shop', options, plainRun())),
      );
    } finally {
      await createRecovery('shop', options, plainRun()).discard(plan);
    }
  });
}

const RAISED = 120;

/** More than the standby was started with: replay of that waits until it is started with as much. */
async function raised({ server, guard }: Following): Promise<void> {
  await server.sql(`alter system set max_connections = ${RAISED}`);
  await server.stop();
  await server.start();
  await guard.caughtUp();
}

async function promotedStays(scene: Following, made: Standby, recovery: Recovery): Promise<void> {
  const { plan, sql } = made;
  try {
    assert.equal(await valueOf(sql, 'select pg_promote(true, 600)'), 'true');
    await sql(`insert into t values (-6, 'of nobody else')`);
    for (const again of [1, 2]) {
      await assert.rejects(recovery.discard(plan), (error) => {
        assert.equal(failureTypeOf(error), 'Precondition', `${again}: ${String(error)}`);
        return /left as it is/.test(String(error));
      });
    }
    assert.equal(await valueOf(sql, 'select body from t where id = -6'), 'of nobody else');
  } finally {
    await control(scene, made, '-m', 'immediate', 'stop');
    // What the last discard sees is a standby again.
    await writeFile(join(plan.into, 'standby.signal'), '');
  }
}

async function refused(t: TestContext, { server, guard }: Following): Promise<void> {
  const { point: base } = guard;
  const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
  const rows: [name: string, wish: Partial<UpstreamWish>, says: RegExp][] = [
    ['another cluster', { base: { ...base, systemId: '1' } }, /is another cluster than the one that was backed up/],
    ['a primary that was left', { timeline: 7 }, /the vault is on timeline 7, ahead of 127/],
    [SHARED, {}, /on the host of .* would share its tablespaces/],
    ['a slot that is not there', { slot: 'none' }, /slot none of .* cannot be used.*pg_create_physical/],
    ['a slot that is in use', { slot: 'lifeboat_shop' }, /slot lifeboat_shop of .* cannot be used/],
    ['another history', { base: { ...base, timeline: 3 } }, /does not come from what was backed up/],
  ];
  await t.test('what a standby cannot follow is refused, and why', async () => {
    for (const [name, wish, says] of rows) {
      await assert.rejects(
        async () => recovery.upstream?.({ base, timeline: 1, ...wish }),
        (error) => {
          assert.equal(failureTypeOf(error), 'Precondition', String(error));
          assert.match(String(error), says, name);
          return true;
        },
      );
      if (name !== SHARED) continue;
      await server.sql('drop table s');
      await server.sql('drop tablespace space');
    }
  });
}

/** Failed over, and both wrote: what the old primary did behind the fork is in the vault, too. */
async function reseeded(scene: Following): Promise<void> {
  const { server, vault, guard, relay } = scene;
  await withStandby(server, {}, async (next) => {
    await next.sql('select pg_promote()');
    await server.sql(`insert into t values (-1, 'of the old primary alone')`);
    await guard.caughtUp();
    await next.sql(`insert into t values (-2, 'of the new primary alone')`);
    await server.stop('immediate');
    await rm(join(server.dataDir, 'base'), { recursive: true });
    await rm(join(server.dataDir, 'postmaster.pid'), { force: true });
    const host = [`127.0.0.1:${server.port}`, `127.0.0.1:${next.port}`];
    const options = recoveryOptions(server, { connection: { ...server.connection, host } });
    const recovery = createRecovery('shop', options, plainRun());
    const primary = await recovery.upstream?.({ base: guard.point, timeline: 1 });
    assert.ok(primary);
    assert.deepEqual(primary, { host: '127.0.0.1', port: next.port });
    const plan = await planFor(server.dataDir, guard, {
      ...LATEST,
      ...{ into: server.dataDir, port: server.port, walAside: join(server.dataDir, 'pg_wal.before-run1') },
      standby: { follow: 'streaming', primary, fetch: relay.fetch },
    });
    const { sql, open, replay } = await makeStandby(plan, vault, options);
    assert.equal(open.timeline, 2);
    assert.equal(replay.timeline, 2);
    await next.sql(`insert into t values (-3, 'marker')`);
    await untilSame(sql, `select body from t where id = -3`, 'marker');
    assert.deepEqual(await tableSums(sql), await tableSums(next.sql));
    assert.equal(await valueOf(sql, 'select count(*) from t where id = -1'), '0');
    assert.equal(await valueOf(sql, 'select received_tli from pg_stat_wal_receiver'), '2');
    assert.equal(
      await valueOf(next.sql, `select state from pg_stat_replication where application_name <> 'lifeboat'`),
      'streaming',
    );
    assert.ok(
      (await readdir(plan.walAside ?? '')).some((name) => /^[0-9A-F]{24}$/.test(name)),
      'its WAL is gone',
    );
    await server.stop('immediate');
  });
}
