import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestPostgres } from '../support/postgres.ts';
import { makeOwned } from '../support/postgres.ts';
import { SUMMARIZING, takePoint } from '../support/chains.ts';
import { recoveryOptions, tableSums, valueOf, withRestored, withScene } from '../support/recovery.ts';

const LATEST = { target: { kind: 'latest' } } as const;

async function contents(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = await Promise.all(files.map(async (path) => [path, (await readFile(path)).toString('base64')] as const));
  return Object.fromEntries(read);
}

async function makeSpace({ sql, dataDir }: TestPostgres, name: string): Promise<string> {
  const there = join(dataDir, '..', `space ${name}`);
  await makeOwned(there);
  await sql(`create tablespace ${name} location '${there}'`);
  return there;
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a tablespace that is younger than the base is made in the copy, not at its source's place`, async () => {
    await withScene({ version, settings: { autovacuum: 'off' } }, async (scene) => {
      const { server, guard } = scene;
      const there = await makeSpace(server, 'young');
      const oid = await valueOf(server.sql, `select oid from pg_tablespace where spcname = 'young'`);
      await server.sql('create table t tablespace young as select g as id from generate_series(1, 5000) g');
      const gone = await makeSpace(server, 'gone');
      await server.sql('create table d tablespace gone as select 1 as id; drop table d');
      await server.sql('drop tablespace gone');
      await makeOwned(join(gone, 'PG_of_another'));
      const expected = await tableSums(server.sql);
      await server.sql('checkpoint');
      await guard.caughtUp();
      const before = await contents(there);
      assert.ok(Object.keys(before).length > 0);
      await withRestored(scene, LATEST, async ({ sql, plan }) => {
        assert.deepEqual(await tableSums(sql), expected);
        assert.equal(await valueOf(sql, `select pg_tablespace_location(${oid})`), `pg_tblspc/${oid}`);
        await sql('insert into t values (-1); create table more tablespace young as select 1 as x; checkpoint');
        assert.deepEqual(await readdir(join(plan.into, 'pg_tblspc')), [oid]);
        assert.deepEqual(await contents(there), before, 'the copy wrote into the tablespace of its source');
        for (const text of ['drop table t, more', 'drop tablespace young', 'checkpoint']) await sql(text);
        assert.deepEqual(await contents(there), before, 'the copy removed the tablespace of its source');
      });
      assert.deepEqual(await readdir(gone), ['PG_of_another']);
      assert.deepEqual(await tableSums(server.sql), expected);
    });
  });
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a tablespace in the data directory itself comes back where it was, whoever reads the files`, async () => {
    const settings = { allow_in_place_tablespaces: 'on', ...(version > 16 ? SUMMARIZING : {}) };
    await withScene({ version, settings }, async (scene) => {
      const { server, vault, guard } = scene;
      await server.sql(`create tablespace here location ''`);
      const oid = await valueOf(server.sql, `select oid from pg_tablespace where spcname = 'here'`);
      await server.sql('create table t tablespace here as select g as id from generate_series(1, 20000) g');
      const check = async (point: Awaited<ReturnType<typeof takePoint>>, chain?: string[]): Promise<void> => {
        await guard.caughtUp();
        const expected = await tableSums(server.sql);
        const use = { ...LATEST, ...(chain ? { chain } : {}) };
        await withRestored({ ...scene, guard: { ...guard, point } }, use, async ({ sql, plan }) => {
          assert.deepEqual(await tableSums(sql), expected);
          assert.equal(await valueOf(sql, `select pg_tablespace_location(${oid})`), `pg_tblspc/${oid}`);
          await sql('insert into t values (-1); checkpoint');
          assert.deepEqual(await readdir(join(plan.into, 'pg_tblspc')), [oid]);
        });
      };
      const optionsFor = (read: string): ReturnType<typeof recoveryOptions> =>
        recoveryOptions(server, { files: { read } });
      const streamed = takePoint(server, vault, { id: 'streamed', options: optionsFor('stream') });
      // An older server would pass over it without a word.
      if (version < 16) await assert.rejects(streamed, /tablespace here would be left out/);
      else await check(await streamed);
      const local = await takePoint(server, vault, { id: 'local', options: optionsFor('local') });
      if (version < 17) return check(local);
      await server.sql('update t set id = -id where id % 100 = 0');
      await check(await takePoint(server, vault, { id: 'changes', parent: 'local' }), ['local', 'changes']);
    });
  });
}
