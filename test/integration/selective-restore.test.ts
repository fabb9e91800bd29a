import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createPointFiles } from '../../activities/sources/postgres/files/index.ts';
import { serverPath } from '../../activities/sources/postgres/files/paths.ts';
import type { Chained } from '../../activities/sources/point-files.ts';
import type { PointReader } from '../../activities/sources/source.ts';
import type { ExtractPlan } from '../../workflows/model/contents.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { combinedByServer, SUMMARIZING, takePoint } from '../support/chains.ts';
import { makeOwned, withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Scene } from '../support/recovery.ts';
import { recoveryOptions, valueOf, withScene } from '../support/recovery.ts';

const ROWS = `select g as id, repeat(md5(g::text), 8) as body from generate_series(1, 20000) g`;

/** Counts the parts that are fetched, of all points. */
function counting(reader: PointReader, fetched: string[]): PointReader {
  return {
    ...reader,
    usePart: (part, use) => {
      fetched.push(`${reader.manifest.point}/${part.number}`);
      return reader.usePart(part, use);
    },
    other: async (point) => counting(await reader.other(point), fetched),
  };
}

function planOf(dir: string, use: Pick<ExtractPlan, 'what' | 'path'> & { chain: readonly string[] }): ExtractPlan {
  const { what, path, chain } = use;
  const facts = { run: 'run-1', source: 'shop', host: 'here', point: chain.at(-1) ?? '' };
  return { ...facts, chain: [...chain], what, path, to: join(dir, 'out') };
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

async function pathsOf({ sql }: TestPostgres, database: string): Promise<{ name: string; path: string }[]> {
  const rows = await sql(
    `select format('%s.%s.%s', current_database(), n.nspname, c.relname) as name, pg_relation_filepath(c.oid) as path,
            c.relisshared as shared
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where pg_relation_filepath(c.oid) is not null`,
    database,
  );
  return rows.map(({ name, path, shared }) => ({
    name: shared === true ? String(name).slice(database.length + 1) : String(name),
    path: String(path),
  }));
}

async function checkNames({ server, vault }: Scene, from: Chained): Promise<void> {
  const files = createPointFiles(recoveryOptions(server), plainRun());
  const nameOf = await files.names(from);
  const listed = new Set([...files.list(from)].map(({ path }) => path));
  for (const database of ['postgres', 'other']) {
    for (const { name, path } of await pathsOf(server, database)) {
      if (!listed.has(path)) continue;
      assert.equal(nameOf(path), name, path);
      assert.equal(nameOf(`${path}_fsm`), name);
    }
  }
  assert.equal(nameOf('base/5/PG_VERSION'), undefined);
  assert.ok(vault);
}

for (const version of [15, 17]) {
  test(`PostgreSQL ${version}: files of a point are named by relation as the server names them`, async () => {
    await withScene({ version }, async (scene) => {
      const { server, vault } = scene;
      const there = join(server.dataDir, '..', 'far away');
      await makeOwned(there);
      await server.sql(`create tablespace far location '${there}'`);
      await server.sql('create database other');
      await server.sql('create schema "S"; create table "S"."Odd.name" (id int primary key, body text)', 'other');
      await server.sql(
        'create table moved tablespace far as select 1 as id; create table t as select 1 as id',
        'other',
      );
      // Other file nodes than the first ones, names that were given up, and rows that nobody has looked at since.
      await server.sql('vacuum full pg_class', 'other');
      await server.sql('truncate t; alter table t rename to renamed', 'other');
      await server.sql('begin; alter table renamed rename to nobody; rollback', 'other');
      await takePoint(server, vault, { id: 'p2' });
      await checkNames(scene, { reader: await vault.open('p2'), chain: ['p2'] });
    });
  });
}

test('a file, or a relation with all that belongs to it, out of a chain: the bytes that PostgreSQL itself would combine', async () => {
  await withScene({ version: 18, settings: { ...SUMMARIZING, autovacuum: 'off' } }, async (scene) => {
    const { server, vault } = scene;
    await server.sql(`create table t as ${ROWS}; create table untouched as ${ROWS}; create table empty (id int)`);
    await server.sql('vacuum t');
    await takePoint(server, vault, { id: 'p2' });
    await server.sql('update t set body = md5(body) where id % 50 = 0');
    await takePoint(server, vault, { id: 'p3', parent: 'p2' });
    await server.sql('delete from t where id > 15000');
    await server.sql('vacuum t');
    await takePoint(server, vault, { id: 'p4', parent: 'p3' });
    const chain = ['p2', 'p3', 'p4'];
    const files = createPointFiles(recoveryOptions(server), plainRun());
    await withServerDir(async (dir) => {
      await mkdir(join(dir, 'server'));
      const sums = await combinedByServer({ server, vault, points: chain }, join(dir, 'server'));
      const newest = await vault.open('p4');
      const listed = [...files.list({ reader: newest, chain })].filter(({ type }) => type === 'file');
      const expected = [...sums].filter(([, sum]) => sum !== 'folder').map(([key]) => key.slice('base/'.length));
      const own = /^(backup_manifest|tablespace_map)$/;
      assert.deepEqual(
        listed
          .map(({ path }) => path)
          .filter((path) => !own.test(path))
          .sort(),
        expected.sort(),
      );
      assert.ok(listed.some(({ changed }) => changed));

      const fetched: string[] = [];
      const from = { reader: counting(newest, fetched), chain };
      const main = await files.find(from, { relation: 'postgres.public.t' });
      assert.equal(main, await valueOf(server.sql, `select pg_relation_filepath('t')`));
      await assert.rejects(files.find(from, { relation: 'postgres.public.tt' }), (error) => {
        assert.equal(failureTypeOf(error), 'NotFound');
        assert.match(String(error), /did you mean postgres\.public\.t\?/);
        return true;
      });
      await assert.rejects(files.find(from, { file: 'base/5/0' }), /is not in p4/);

      fetched.length = 0;
      const plan = planOf(dir, { what: { relation: 'postgres.public.t' }, path: main, chain });
      const result = await files.extract(plan, from);
      const names = (await readdir(plan.to)).sort();
      assert.equal(result.files, names.length);
      assert.ok(names.some((name) => name.endsWith('_fsm')) && names.some((name) => name.endsWith('_vm')));
      for (const name of names) {
        const key = serverPath({ id: 'base' }, join(main, '..', name));
        assert.equal(await sha256(join(plan.to, name)), sums.get(`base/${key}`), name);
      }
      assert.equal(fetched.length, result.parts);
      const all = await Promise.all(chain.map(async (point) => (await vault.open(point)).manifest.parts.length));
      assert.ok(fetched.length < all.reduce((sum, parts) => sum + parts, 0), 'everything was fetched');
      // The name was given, and the answer was lost.
      assert.deepEqual(await files.extract(plan, from), result);
      await files.discard(plan);
      assert.deepEqual((await readdir(dir)).sort(), ['out', 'server']);
      await assert.rejects(files.checkTarget(plan.to), /exists/);

      const empty = await files.find(from, { relation: 'postgres.public.empty' });
      const one = { ...planOf(dir, { what: { file: empty }, path: empty, chain }), to: join(dir, 'empty') };
      await files.extract(one, from);
      assert.equal((await readFile(one.to)).length, 0);
      await files.discard(one);
    });
  });
});

test('what is stopped, damaged or in the way leaves nothing under the name that was asked for', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault } = scene;
    const reader = await vault.open('p1');
    const chain = ['p1'];
    await withServerDir(async (dir) => {
      const path = 'global/pg_control';
      const plan = planOf(dir, { what: { file: path }, path, chain });
      const stop = new AbortController();
      const stopped = createPointFiles(recoveryOptions(server), plainRun({ signal: stop.signal }));
      const cut: PointReader = {
        ...reader,
        usePart: async () => {
          stop.abort(new Error('stopped'));
          throw new Error('stopped');
        },
      };
      await assert.rejects(stopped.extract(plan, { reader: cut, chain }), /stopped/);
      assert.ok(!existsSync(plan.to));
      const files = createPointFiles(recoveryOptions(server), plainRun());
      const result = await files.extract(plan, { reader, chain });
      assert.equal(result.files, 1);
      const entry = reader.manifest.trees[0]?.files.find((file) => file.path === path);
      assert.equal((await readFile(plan.to)).length, entry?.bytes);
      // As a kill leaves it that comes between the file's new name and the end of its old one.
      const [staging = ''] = (await readdir(dir)).filter((name) => name.startsWith('.'));
      await link(plan.to, join(dir, staging, 'content'));
      assert.deepEqual(await files.extract(plan, { reader, chain }), result);
      await files.discard(plan);
      // A late attempt beside the one that follows it, and beside a run that wants the same name.
      const twice = { ...plan, run: 'run-4', to: join(dir, 'twice') };
      const late = { ...twice, run: 'run-5' };
      const [first, again, third] = await Promise.allSettled(
        [twice, twice, late].map((each) => files.extract(each, { reader, chain })),
      );
      assert.ok(first?.status === 'fulfilled' && again?.status === 'fulfilled' && third?.status === 'rejected');
      assert.deepEqual([first.value.files, again.value], [1, first.value]);
      assert.match(String(third.reason), /exists/);
      for (const each of [twice, late]) await files.discard(each);
      await rm(twice.to);
      await writeFile(join(dir, 'precious'), 'mine');
      const other = { ...plan, run: 'run-2', to: join(dir, 'precious') };
      await assert.rejects(files.extract(other, { reader, chain }), /exists/);
      assert.equal(await readFile(other.to, 'utf8'), 'mine');
      await assert.rejects(files.checkTarget(join(dir, 'nowhere', 'out')), /is no folder/);
      await assert.rejects(files.checkTarget(join(dir, 'precious', 'out')), /is no folder/);
      await mkdir(join(dir, 'elsewhere'));
      await symlink('elsewhere', join(dir, 'linked'));
      const below = { ...plan, run: 'run-3', to: join(dir, 'linked', 'out') };
      await files.checkTarget(below.to);
      await files.extract(below, { reader, chain });
      await files.discard(below);
      assert.deepEqual(await readdir(join(dir, 'elsewhere')), ['out']);
      assert.deepEqual((await readdir(dir)).sort(), ['elsewhere', 'linked', 'out', 'precious']);
    });
  });
});
