import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serverSchema } from '../../activities/io/postgres/connection.ts';
import { reachServer } from '../../activities/io/postgres/logical/destination.ts';
import { checkServer, takeName } from '../../activities/io/postgres/logical/into-database.ts';
import { plainRun } from '../../activities/io/run.ts';
import { createPointFiles } from '../../activities/sources/postgres/files/index.ts';
import type { ChosenDatabase } from '../../activities/sources/point-files.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { SUMMARIZING, takePoint } from '../support/chains.ts';
import { makeOwned, withPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Scene } from '../support/recovery.ts';
import { recoveryOptions, tableSums, timeOf, valueOf, withRestored, withScene } from '../support/recovery.ts';

const rows = (from: number, to: number): string =>
  `select g as id, repeat(md5(g::text), 8) as body from generate_series(${from}, ${to}) g`;

/** What there is of each kind of index, and pages that nobody changes again. */
const FILLED = [
  `create table kept as ${rows(1, 3000)}`,
  'alter table kept add primary key (id)',
  `create table still as ${rows(1, 6000)}`,
  `create table words (id int, tags text[], span int4range, body text)`,
  `insert into words select g, array['a' || g % 50, 'b'], int4range(g, g + 9), md5(g::text) from generate_series(1, 4000) g`,
  'create index words_gin on words using gin (tags)',
  'create index words_gist on words using gist (span)',
  'create index words_hash on words using hash (body)',
  'create index words_brin on words using brin (id)',
  'create index words_spgist on words using spgist (body)',
  `create unlogged table passing as ${rows(1, 100)}`,
];

/** Changes some pages and leaves most, with an image and without one; rewrites, cuts, drops, maps catalogs anew. */
const CHANGED = [
  'update kept set body = md5(body) where id % 40 = 0',
  'insert into kept select g, md5(g::text) from generate_series(3001, 5000) g',
  // Sets bits on pages that it changes nothing else of.
  'vacuum still',
  'delete from still where id > 5500',
  'vacuum (truncate) still',
  'delete from words where id % 2 = 0',
  'vacuum words',
  `insert into words select g, array['c'], int4range(g, g + 2), md5(g::text) from generate_series(5000, 9000) g`,
  `create table made as ${rows(1, 500)}`,
  'drop table if exists dropped',
  'truncate passing',
];

/** What is left out goes through more than what is restored. */
const REMAPPED = ['vacuum full pg_class', 'vacuum full kept', 'reindex table words'];

async function all(server: TestPostgres, database: string, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await server.sql(statement, database);
}

async function fill(server: TestPostgres): Promise<void> {
  const space = join(server.dataDir, '..', 'space');
  await makeOwned(space);
  await server.sql(`create tablespace space location '${space}'`);
  for (const name of ['crm', 'other', 'quiet', 'gone']) {
    await server.sql(`create database ${name} strategy = file_copy`);
    await all(server, name, [...FILLED, `create table dropped as ${rows(1, 100)}`]);
  }
  await server.sql(`create table far tablespace space as ${rows(1, 1000)}`, 'crm');
  await server.sql(`create table far tablespace space as ${rows(1, 4000)}`, 'other');
  await server.sql('create table home (n int); insert into home values (1)');
}

async function change(server: TestPostgres): Promise<void> {
  for (const database of ['crm', 'other']) await all(server, database, CHANGED);
  await all(server, 'other', REMAPPED);
  await server.sql('update far set body = md5(body) where id < 40', 'crm');
  await server.sql('drop database gone');
  await server.sql('create database copied template other strategy = file_copy');
  await server.sql('create database logged template other strategy = wal_log');
  await server.sql('alter database quiet set tablespace space');
  await server.sql('insert into home values (2)');
}

async function chosen({ server, vault }: Scene, point: PointSummary, chain: string[]): Promise<ChosenDatabase> {
  const files = createPointFiles(recoveryOptions(server), plainRun());
  return files.choose({ reader: await vault.open(point.point), chain }, { database: 'crm', tables: ['kept'] });
}

const OPENED = `update pg_database set datallowconn = true, datconnlimit = -1 where datname = 'quiet'`;

/** The older one has no page checksums, so that its WAL lacks images of pages that a vacuum marks. */
for (const [version, increments] of [
  [15, false],
  [18, true],
] as const) {
  const how = increments ? ', from a chain' : '';
  test(`PostgreSQL ${version}${how}: one database is restored as it was, the others have no content and no way in`, () =>
    withScene({ version, before: fill, ...(increments ? { settings: SUMMARIZING } : {}) }, async (scene) => {
      const { server, vault, guard } = scene;
      let [point, chain] = [guard.point, [guard.point.point]];
      if (increments) {
        await all(server, 'other', [`create table between as ${rows(1, 500)}`, 'update kept set body = body']);
        await all(server, 'crm', ['update kept set body = md5(body) where id % 7 = 0']);
        point = await takePoint(server, vault, { id: 'p2', parent: point.point });
        assert.equal(point.kind, 'incremental');
        chain = [...chain, point.point];
      }
      const { partial, needs } = await chosen(scene, point, chain);
      assert.deepEqual(partial.leftOut, { count: 3, first: ['gone', 'other', 'quiet'] });
      assert.ok(needs.every(({ bytes }, index) => bytes > 0 && (index > 0 || bytes < guard.point.bytes)));
      await change(server);
      const time = await timeOf(server.sql);
      const [wanted, home] = [await tableSums(server.sql, 'crm'), await tableSums(server.sql)];
      await all(server, 'crm', ['delete from kept']);
      await guard.caughtUp();
      const target = { kind: 'time', time, inclusive: true } as const;
      const spaces = Object.fromEntries(
        (await vault.open(point.point)).manifest.trees
          .filter(({ id }) => /^\d+$/.test(id))
          .map(({ id }) => [id, join(server.dataDir, '..', `restored-${id}`)]),
      );
      const use = { target, partial, base: point, tablespaces: spaces, ...(increments ? { chain } : {}) };
      await withRestored(scene, use, async ({ sql, proof, plan, replay }) => {
        // Without page checksums a vacuum marks pages that it does not change, and the WAL has no image of them.
        if (version < 18) assert.ok((replay.passedOver ?? 0) > 0);
        assert.deepEqual(await tableSums(sql, 'crm'), wanted);
        assert.deepEqual(await tableSums(sql), home);
        assert.match(proof.checks.find(({ name }) => name.startsWith('only'))?.found ?? '', /^crm; 3 others: gone/);
        for (const database of ['other', 'quiet', 'copied', 'logged'])
          await assert.rejects(sql('select 1', database), /not currently accepting connections|invalid database/);
        const { blocks, size } = await stat(join(plan.into, await untouched(server)));
        assert.ok(size > 0 && blocks === 0, `${size} bytes in ${blocks} blocks`);
        // Let in by force, a session ends, and the server goes on.
        await sql(OPENED);
        await assert.rejects(sql('select 1', 'quiet'), /pg_filenode\.map/);
        assert.equal(await valueOf(sql, 'select count(*) from kept', 'crm'), '5000');
      });
    }));
}

/** A file of a database that is left out, which no WAL changed. */
function untouched(server: TestPostgres): Promise<string> {
  return valueOf(server.sql, `select pg_relation_filepath('pg_collation')`, 'other');
}

test('a database that is dropped before the target, one that is not in the base, pages that must be there', () =>
  withScene({ version: 18, before: fill, settings: { full_page_writes: 'off' } }, async (scene) => {
    const { server, vault, guard } = scene;
    const files = createPointFiles(recoveryOptions(server), plainRun());
    const from = { reader: await vault.open('p1'), chain: ['p1'] };
    await assert.rejects(files.choose(from, { database: 'crn', tables: [] }), (error) => {
      const { place, hint, expected = '' } = failureFacts(error);
      assert.equal(failureTypeOf(error), 'NotFound');
      assert.deepEqual([place, hint], ['onlyDatabase', 'did you mean crm?']);
      return expected.startsWith('one of crm, gone, other');
    });
    const { partial } = await files.choose(from, { database: 'crm', tables: [] });
    // Every record would change a page that has no content.
    assert.match(partial.whole ?? '', /full_page_writes was off/);
    await server.sql('drop database crm');
    await server.sql('create database crm');
    await guard.caughtUp();
    const target = { kind: 'latest' } as const;
    await assert.rejects(
      withRestored(scene, { target, partial, tablespaces: await spacesIn(scene) }, async () => undefined),
      (error) => failureTypeOf(error) === 'Precondition' && /was dropped before/.test(String(error)),
    );
  }));

test('what is brought over gets the name of the database that sessions usually go to', () =>
  withPostgres({ version: 18 }, async (server) => {
    await server.sql('create database shop');
    for (const name of ['shop', 'postgres']) {
      await server.sql('create table old (v int)', name);
      await server.sql('create database made', 'template1');
      const connection = serverSchema.parse({ ...server.connection, database: name });
      const to = await reachServer(connection, plainRun().signal);
      const into = { name, temporary: 'made', aside: `${name}_before`, replace: true, roles: [] };
      await checkServer(to, into);
      for (const _ of ['first', 'again']) await takeName(to, into);
      const found = `select to_regclass('public.old') is not null as old`;
      assert.deepEqual(await server.sql(found, name), [{ old: false }]);
      assert.deepEqual(await server.sql(found, `${name}_before`), [{ old: true }]);
    }
  }));

async function spacesIn({ server, vault }: Scene): Promise<Record<string, string>> {
  const { trees } = (await vault.open('p1')).manifest;
  const ids = trees.map(({ id }) => id).filter((id) => /^\d+$/.test(id));
  return Object.fromEntries(ids.map((id) => [id, join(server.dataDir, '..', `restored-${id}`)]));
}
