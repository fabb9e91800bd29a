import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { DrillResult, VerifyResult } from '../../workflows/model/results.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import { textOf, firstDifference } from '../support/logical.ts';
import { serverUser } from '../support/postgres.ts';
import type { Row } from '../support/refused.ts';
import { PROMISE, refuse } from '../support/refused.ts';

function sourceOf({ server, scratch }: Lifeboat, binaries = server.binaries): string {
  const runAs = process.getuid?.() === 0 ? `, runAs: ${serverUser().name}` : '';
  const { host, port, user, database } = server.connection;
  return `
    kind: postgres-logical
    connection: { host: ${host}, port: ${port}, user: ${user}, database: ${database} }
    store: local
    dump: { binaries: ${binaries} }
    restore: { binaries: ${server.binaries}, scratch: ${scratch}${runAs} }
    objectives: { rto: 1h, rpo: 1d }`;
}

function configOf(world: Lifeboat, source = sourceOf(world)): string {
  return ['name: test', LOCAL_STORE, `sources:\n  crm:${source}`].join('\n');
}

const ROWS = `
  create schema sales; create table sales.deals (id int primary key, note text);
  insert into sales.deals select n, 'deal ' || n from generate_series(1, 500) n;
  create table people (id bigserial primary key, name text); create index people_name on people (name);
  insert into people (name) select 'person ' || n from generate_series(1, 700) n;`;

async function asked<T>(world: Lifeboat, ...words: string[]): Promise<T> {
  const said = await world.cli([...words, '--json']);
  assert.equal(said.code, 0, `${said.err} ${said.out}`);
  return said.json as T;
}

test('a source that is dumped, by the CLI: from doctor to a database beside the old one', async (t) => {
  await withLifeboat(async (world) => {
    const { server } = world;
    await server.sql('create database crm');
    await server.sql(ROWS, 'crm');
    await world.writeConfig(configOf(world));
    const worker = await world.startWorker();

    const { checks } = await asked<{ checks: { name: string; state: string }[] }>(world, 'doctor');
    assert.equal(checks.find(({ name }) => name === 'source crm: rights in crm')?.state, 'ok');
    assert.deepEqual((await asked<{ streams: unknown[] }>(world, 'apply')).streams, []);

    const { point } = await asked<{ point: PointSummary }>(world, 'backup', 'crm');
    assert.deepEqual(point.dump, {
      ...{ databases: ['crm', 'postgres'], tables: 2, rows: 1200, largeObjects: 0, rolePasswords: true },
    });
    assert.match((await world.cli(['list', 'crm'])).out, /dump/);
    const shown = await world.cli(['show', `crm/${point.point}`]);
    assert.match(shown.out, /database crm +2 tables, 1200 rows/);
    assert.match(shown.out, /complete +yes/);
    const { verified } = await asked<{ verified: VerifyResult }>(world, 'verify', `crm/${point.point}`);
    assert.equal(verified.parts, point.parts);
    assert.ok(verified.checks.every(({ ok }) => ok));

    const { result: drill } = await asked<{ result: DrillResult }>(world, 'drill', 'crm');
    assert.ok(drill.restore.proof.ok && drill.cleaned && drill.rtoMs > 0 && drill.rpoMs !== undefined);
    assert.equal(drill.restore.proof.rows, 1200);

    // Written anew by whatever proves the point again.
    const mark = (): Promise<Buffer> => readFile(join(world.vault, 'crm', 'points', point.point, 'checked'));
    const proven = await mark();

    await t.test('into a database of the running server: what had the name is kept', async () => {
      const before = await textOf(server.binaries, { ...server.connection, database: 'crm' });
      await server.sql('delete from people; drop table sales.deals', 'crm');
      const words = ['restore', 'crm', '--only-database', 'crm', '--into-database', 'crm', '--replace'];
      const { result } = await asked<{ result: RestoreResult }>(world, ...words);
      assert.ok(result.proof.ok);
      const now = await textOf(server.binaries, { ...server.connection, database: 'crm' });
      assert.equal(firstDifference(now, before), undefined);
      const aside = await server.sql(`select datname from pg_database where datname like 'crm\\_before\\_%'`);
      assert.equal(aside.length, 1);
      assert.equal((await server.sql('select from people', String(aside[0]?.['datname']))).length, 0);
      assert.deepEqual(await server.sql(`select datname from pg_database where datname like 'lifeboat%'`), []);
    });

    await t.test('one table, with what belongs to it and nothing else', async () => {
      const into = ['--into-database', 'one', '--only-database', 'crm', '--only-table', 'people'];
      await asked(world, 'restore', 'crm', ...into);
      const rows = await server.sql(
        `select relname from pg_class c join pg_namespace n on n.oid = relnamespace where nspname in ('public', 'sales') order by 1`,
        'one',
      );
      const names = ['people', 'people_id_seq', 'people_name', 'people_pkey'];
      assert.deepEqual(
        rows.map((row) => row['relname']),
        names,
      );
      const [next] = await server.sql(`select nextval('people_id_seq') as id, count(*)::int as n from people`, 'one');
      assert.deepEqual(next, { id: '701', n: 700 });
    });

    await t.test('one schema, into a cluster of its own', async () => {
      const into = join(world.scratch, 'sales');
      const words = ['restore', 'crm', '--only-database', 'crm', '--only-schema', 'sales', '--into', into];
      const { result } = await asked<{ result: RestoreResult }>(world, ...words, '--action', 'shutdown');
      assert.ok(result.proof.ok);
      assert.equal(result.proof.rows, 500);
    });

    await t.test('a part of a dump proves no whole point', async () => {
      assert.ok((await mark()).equals(proven));
      await asked(world, 'drill', 'crm');
      assert.equal((await mark()).equals(proven), false);
    });

    await t.test(PROMISE, async (rows) => {
      await refuse(rows, world, refusals());
      await worker.stop();
      const older = join(world.dir, 'older');
      await world.writeConfig(configOf(world, sourceOf(world, await olderDump(older))));
      await world.startWorker();
      await refuse(rows, world, [olderRefused(older)]);
    });
  });
});

async function olderDump(folder: string): Promise<string> {
  const { mkdir } = await import('node:fs/promises');
  await mkdir(folder);
  for (const program of ['pg_dump', 'pg_dumpall']) {
    const text = `#!/bin/sh\necho '${program} (PostgreSQL) 15.9'\n`;
    await writeFile(join(folder, program), text, { mode: 0o755 });
  }
  return folder;
}

function olderRefused(folder: string): Row {
  return {
    ...{ name: 'a dump tool older than the server', words: ['backup', 'crm'] },
    ...{ type: 'Precondition', message: /pg_dump is older than the server: .*: 15/, place: 'source crm' },
    ...{ expected: 'pg_dump', found: new RegExp(folder), next: /install postgresql-client-18, or set dump\.binaries/ },
  };
}

function refusals(): Row[] {
  const restore = (...more: string[]): string[] => ['restore', 'crm', ...more];
  const unsupported = (
    name: string,
    words: string[],
    more: Pick<Row, 'message' | 'place' | 'expected' | 'found' | 'next'>,
  ): Row => ({
    ...{ name, words, type: 'Unsupported' },
    ...more,
  });
  return [
    unsupported('a moment between dumps', restore('--to-time', '2026-01-01T00:00:00Z'), {
      ...{ message: /can be restored to the moments of its dumps only/, place: 'target' },
      ...{ expected: 'no target, or a point', found: /2026-01-01/, next: /lifeboat list crm, then/ },
    }),
    unsupported('an incremental dump', ['backup', 'crm', '--type', 'incremental'], {
      ...{ message: /is dumped whole/, place: 'type', expected: 'full', found: 'incremental' },
      next: /^lifeboat backup crm/,
    }),
    unsupported('a standby', restore('--standby'), {
      ...{ message: /has no WAL that a standby could follow/, place: 'standby', expected: 'a source of kind postgres' },
      ...{ found: 'postgres-logical', next: /^lifeboat restore crm, without --standby/ },
    }),
    unsupported('its WAL', ['wal', 'crm'], {
      ...{
        message: /has no WAL to stream/,
        place: 'source crm',
        expected: 'a source of kind postgres',
        found: 'postgres-logical',
        next: /lifeboat list crm/,
      },
    }),
    {
      ...{ name: 'a table that does not exist', words: restore('--only-database', 'crm', '--only-table', 'peple') },
      ...{ type: 'NotFound', message: /table peple is not in this dump/, place: 'onlyTable' },
      ...{ expected: /public.people/, found: 'peple', next: /./ },
    },
    {
      ...{
        name: 'into a database that holds something',
        words: restore('--only-database', 'crm', '--into-database', 'crm'),
      },
      ...{ type: 'Precondition', message: /database crm exists and is not empty/, place: /\/crm$/ },
      ...{ expected: /or an empty one/, found: /./, next: /--replace/ },
    },
  ];
}
