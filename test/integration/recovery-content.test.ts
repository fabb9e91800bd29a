import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeOwned, serverUser } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { backupPoint, tableSums, timeOf, valueOf, withRestored, withScene } from '../support/recovery.ts';
import type { Sql } from '../support/recovery.ts';

const SETTINGS = { max_prepared_transactions: '5' };

/** One of each kind of thing that a physical copy must carry, or is known to empty. */
async function fill(server: TestPostgres): Promise<void> {
  await server.sql(`create table big (id int primary key, body text)`);
  await server.sql(`insert into big select g, repeat(md5(g::text), 300) from generate_series(1, 2000) g`);
  await server.sql(`create index on big using hash (body)`);
  await server.sql(`create unlogged table u (id int primary key, body text)`);
  await server.sql(`insert into u select g, repeat('x', 4000) from generate_series(1, 100) g`);
  await server.sql(`create materialized view m as select count(*) as n from big`);
  await server.sql(`create materialized view empty as select 1 as n with no data`);
  await server.sql(`create sequence s`);
  await server.sql(`select nextval('s') from generate_series(1, 40)`);
  await server.sql(`create table part (id int) partition by hash (id)`);
  await server.sql(`create table part_0 partition of part for values with (modulus 1, remainder 0)`);
  await server.sql(`select lo_from_bytea(4242, decode(repeat('ab', 100000), 'hex'))`);
  await server.sql(`create table "Odd Name; ""x""" (a int)`);
  await server.sql(`create extension if not exists pg_trgm`).catch(() => server.sql('select 1'));
  await server.sql(`create index trgm on big using gin (body gin_trgm_ops)`).catch(() => undefined);
}

/** The same questions to source and copy. */
async function portrait(sql: Sql): Promise<unknown> {
  return {
    tables: await tableSums(sql),
    largeObject: await valueOf(sql, `select md5(lo_get(4242))`),
    extensions: await sql('select extname, extversion from pg_extension order by 1'),
    relations: await sql(
      `select oid::text, relname, relkind, relpersistence from pg_class where oid > 16383 order by oid`,
    ),
    view: await sql('select n from m'),
    roles: await sql('select rolname from pg_roles order by 1'),
    byIndex: await valueOf(sql, `set enable_seqscan = off; select count(*) from big`).catch(() => ''),
  };
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: contents of every kind are those of the source at the target`, async () => {
    await withScene({ version, settings: SETTINGS, before: fill }, async (scene) => {
      const { server, guard } = scene;
      await server.sql(`update big set body = body || 'y' where id % 3 = 0; delete from big where id % 7 = 0`);
      await server.sql(`insert into part select generate_series(1, 500)`);
      await server.sql('truncate u');
      const expected = await portrait(server.sql);
      const sequence = Number(await valueOf(server.sql, `select last_value from s`));
      const time = await timeOf(server.sql);
      await server.sql(`insert into u values (1, 'lost by design')`);
      await server.sql('drop table big cascade; select lo_unlink(4242); truncate part');
      await guard.caughtUp();
      const target = { kind: 'time', time, inclusive: true } as const;
      await withRestored(scene, { target }, async ({ sql, proof }) => {
        assert.deepEqual(await portrait(sql), expected);
        const next = Number(await valueOf(sql, `select nextval('s')`));
        assert.ok(next > sequence && next <= sequence + 33, `sequence went from ${sequence} to ${next}`);
        assert.equal(await valueOf(sql, 'select count(*) from u'), '0');
        await sql(`insert into u values (1, 'and it can be written')`);
        const check = proof.checks.find(({ name }) => name.startsWith('every relation readable'));
        assert.match(check?.name ?? '', /amcheck/);
      });
      // While it waits in recovery, unlogged tables cannot be opened: that is no damage.
      await withRestored(scene, { target, action: 'pause' }, async ({ proof }) => assert.ok(proof.ok));
    });
  });

  test(`PostgreSQL ${version}: tablespaces go where the plan says, and the source's stay untouched`, async () => {
    await withScene({ version }, async (scene) => {
      const { server, vault } = scene;
      const there = join(server.dataDir, '..', 'it s\\space');
      await makeOwned(there);
      await server.sql(`create tablespace far location E'${there.replaceAll('\\', '\\\\')}'`);
      await server.sql('create table t tablespace far as select g as id from generate_series(1, 20000) g');
      const point = await backupPoint(server, vault, 'p2');
      await scene.guard.caughtUp();
      const oid = await valueOf(server.sql, `select oid from pg_tablespace where spcname = 'far'`);
      await server.sql(
        'insert into t select generate_series(20001, 30000); create table t2 tablespace far as select 1 as x',
      );
      const expected = await tableSums(server.sql);
      const time = await timeOf(server.sql);
      await server.sql('delete from t');
      await scene.guard.caughtUp();
      const before = await contents(there);
      const into = join(server.dataDir, '..', 'copy of\\space');
      const guard = { ...scene.guard, point };
      const use = { target: { kind: 'time', time, inclusive: true } as const, tablespaces: { [oid]: into } };
      await withRestored({ ...scene, guard }, use, async ({ sql, plan }) => {
        assert.equal(await readlink(join(plan.into, 'pg_tblspc', oid)), into);
        assert.equal(await valueOf(sql, `select pg_tablespace_location(${oid})`), into);
        assert.deepEqual(await tableSums(sql), expected);
        await sql('insert into t values (-1); checkpoint');
        assert.deepEqual(await contents(there), before, 'the copy wrote into the tablespace of its source');
      });
      assert.ok(!existsSync(into));
      assert.equal(await valueOf(server.sql, 'select count(*) from t'), '0');
    });
  });
}

async function contents(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sums = await Promise.all(files.map(async (path) => [path, (await readFile(path)).toString('base64')] as const));
  return Object.fromEntries(sums);
}

test('prepared transactions and their locks survive; files belong to the user of the server', async () => {
  const before = (server: TestPostgres): Promise<unknown> => server.sql('create table t (id int primary key)');
  await withScene({ version: 15, settings: SETTINGS, before }, async (scene) => {
    const { server, guard } = scene;
    const client = await server.connect();
    for (const name of ['kept', 'undone']) {
      await client.query(`begin; insert into t values (${name === 'kept' ? 1 : 2}); prepare transaction '${name}'`);
    }
    await client.end();
    await guard.caughtUp();
    await withRestored(scene, { target: { kind: 'latest' } }, async ({ sql, plan }) => {
      assert.deepEqual(await sql('select gid from pg_prepared_xacts order by 1'), [{ gid: 'kept' }, { gid: 'undone' }]);
      await assert.rejects(sql(`set lock_timeout = '50ms'; lock table t in access exclusive mode`), /lock timeout/);
      await sql(`commit prepared 'kept'`);
      await sql(`rollback prepared 'undone'`);
      assert.deepEqual(await sql('select id from t'), [{ id: 1 }]);
      const { uid = process.getuid?.() ?? 0 } = serverUser();
      for (const name of await readdir(plan.into, { recursive: true })) {
        const found = await stat(join(plan.into, name)).catch(() => undefined);
        if (found) assert.equal(found.uid, uid, name);
      }
    });
  });
});
