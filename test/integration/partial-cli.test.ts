import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PendingApproval } from '../../workflows/model/approval.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { RescueResult } from '../../workflows/model/rescue.ts';
import type { RestorePreview } from '../../workflows/model/results.ts';
import type { Lifeboat } from '../support/lifeboat.ts';
import { LOCAL_STORE, withLifeboat } from '../support/lifeboat.ts';
import { firstDifference, textOf } from '../support/logical.ts';
import type { Row } from '../support/refused.ts';
import { PROMISE, refuse } from '../support/refused.ts';
import { keysOf } from '../support/system-vault.ts';

const ROWS = `
  create schema sales; create table sales.deals (id int primary key, note text);
  insert into sales.deals select n, 'deal ' || n from generate_series(1, 500) n;
  create table people (id bigserial primary key, name text); create index people_name on people (name);
  insert into people (name) select 'person ' || n from generate_series(1, 700) n;
  create table bare (v int); select lo_from_bytea(70001, 'abc');
  create role crm_owner; alter table people owner to crm_owner;`;

async function asked<T>(world: Lifeboat, ...words: string[]): Promise<T> {
  const said = await world.cli([...words, '--json']);
  assert.equal(said.code, 0, `${said.err} ${said.out}`);
  return said.json as T;
}

async function clock({ server }: Lifeboat): Promise<string> {
  const [row] = await server.sql(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
  );
  return String(row?.['at']);
}

/** Until the vault holds a commit behind a moment. */
async function reached(world: Lifeboat, time: string): Promise<void> {
  for (;;) {
    const said = await world.cli(['restore', 'shop', '--to-time', time, '--preview', '--json']);
    if (said.code === 0) return;
    assert.equal(said.code, 5, said.err);
  }
}

/** What a run waits for, as soon as it does. */
async function pendingOf(world: Lifeboat, run: string): Promise<PendingApproval> {
  for (;;) {
    const said = await world.cli(['approve', run, '--json']);
    if (said.code === 0) return (said.json as { pending: PendingApproval }).pending;
    assert.equal(said.code, 5, said.err);
    assert.match(said.err + said.out, /waits for no approval/);
  }
}

test('one database of a cluster, one of its tables, rows of it: by the CLI', async (t) => {
  await withLifeboat(async (world) => {
    const { server } = world;
    for (const name of ['crm', 'hr']) await server.sql(`create database ${name}`);
    await server.sql(ROWS, 'crm');
    await server.sql('create table staff as select g as id, md5(g::text) from generate_series(1, 50000) g', 'hr');
    const source = world.source('shop', ['backup: { partSize: 1MiB }']);
    await world.writeConfig(['name: test', LOCAL_STORE, 'sources:', source].join('\n'));
    await world.startWorker();
    await asked(world, 'backup', 'shop');
    const before = await textOf(server.binaries, { ...server.connection, database: 'crm' });
    const time = await clock(world);
    await server.sql('delete from people where id % 2 = 0; drop table sales.deals', 'crm');
    const later = await clock(world);
    await server.sql('insert into people (name) values ($$later$$)', 'crm');
    await reached(world, later);
    const restore = ['restore', 'shop', '--to-time', time, '--only-database', 'crm'];

    await t.test('a preview says what will not be there', async () => {
      const { plan, notes } = await asked<RestorePreview>(world, ...restore, '--preview');
      assert.deepEqual(plan.partial?.leftOut, { count: 1, first: ['hr'] });
      assert.ok(plan.estimate.fetchBytes < plan.base.bytes);
      assert.ok(
        notes.some((note) => /nobody can connect to them/.test(note)),
        notes.join('\n'),
      );
    });

    await t.test('the database whole, into the running server beside the damaged one', async () => {
      const { result } = await asked<{ result: RestoreResult }>(world, ...restore, '--into-database', 'crm_before');
      const { brought } = result;
      assert.ok(brought?.checks.every(({ ok }) => ok));
      assert.deepEqual([brought?.tables, brought?.rows, brought?.roles], [3, 1200, []]);
      const now = await textOf(server.binaries, { ...server.connection, database: 'crm_before' });
      assert.equal(firstDifference(now, before), undefined);
      assert.deepEqual(await server.sql(`select datname from pg_database where datname like 'lifeboat%'`), []);
      // What was proven is a part: nothing is known of the rest of the point.
      const kept = await keysOf(world.vault, 'shop/points');
      assert.ok(kept.length > 0 && !kept.some((key) => key.endsWith('/checked')), kept.join('\n'));
    });

    await t.test('one table, under a name that is taken: what has it is kept', async () => {
      const words = ['--only-table', 'sales.deals', '--into-database', 'crm_before', '--replace'];
      const said = await world.cli([...restore, ...words]);
      assert.equal(said.code, 0, said.err);
      assert.match(said.out, /brought +database crm_before on .*: 1 tables, 500 rows, compared/);
      assert.match(said.out, /set aside +crm_before_before_/);
      const [row] = await server.sql('select count(*)::int as n from sales.deals', 'crm_before');
      assert.equal(row?.['n'], 500);
    });

    await t.test('rows: shown, approved by somebody else, and there', async () => {
      const words = ['rescue', 'shop', '--to-time', time, '--only-database', 'crm', '--table', 'people'];
      const started = await world.cli([...words, '--as', 'anna', '--detach']);
      assert.equal(started.code, 0, started.err);
      const { evidence } = await pendingOf(world, 'rescue/shop');
      const counts = evidence.facts.find(({ name }) => name === 'public.people')?.value ?? '';
      assert.match(counts, /^350 of 700 rows are missing \(10\) /);
      await asked(world, 'approve', 'rescue/shop', '--evidence', evidence.hash.slice(0, 8), '--as', 'ben');
      const joined = await world.cli([...words, '--as', 'anna', '--json']);
      // Either it joins the run that goes on, or compares anew and finds nothing to write.
      const { result } = joined.json as { result: RescueResult };
      assert.ok(joined.code === 0 && result.difference.tables.length === 1, joined.err);
      const [row] = await server.sql('select count(*)::int as n from people', 'crm');
      assert.equal(row?.['n'], 701);
    });

    await t.test('only the difference, for a person', async () => {
      const words = ['--to-time', later, '--only-database', 'crm', '--table', 'people', '--compare-only'];
      const said = await world.cli(['rescue', 'shop', ...words]);
      assert.equal(said.code, 0, said.err);
      assert.match(said.out, /nothing was written into shop/);
      assert.match(said.out, /public\.people +of 350 rows 0 were missing, 0 differed; 351 came since/);
    });

    // Nothing else may change in the vault while it is looked at.
    await world.cli(['cancel', 'wal/shop']);
    await world.cli(['status', 'wal/shop', '--follow']);
    await t.test(PROMISE, (rows) => refuse(rows, world, refusals()));
  });
});

function refusals(): Row[] {
  const restore = (...more: string[]): string[] => ['restore', 'shop', '--only-database', 'crm', ...more];
  const rescue = (...more: string[]): string[] => ['rescue', 'shop', '--only-database', 'crm', ...more];
  return [
    {
      ...{ name: 'a table that does not exist', words: restore('--only-table', 'peple', '--into-database', 'x') },
      ...{ type: 'NotFound', message: /table peple is not in database crm/, place: 'onlyTable' },
      ...{ expected: 'a table that the base has', found: 'peple', next: /./ },
    },
    {
      ...{ name: 'a table without a database to go into', words: restore('--only-table', 'people') },
      ...{ type: 'ConfigInvalid', message: /onlyTable goes with intoDatabase/, place: 'onlyTable' },
      ...{ expected: 'intoDatabase', found: 'onlyTable alone', next: /--into-database NAME$/ },
    },
    {
      ...{ name: 'into a database that holds something', words: restore('--into-database', 'hr') },
      ...{ type: 'Precondition', message: /database hr exists and is not empty/, place: /\/hr$/ },
      ...{ expected: /or an empty one/, found: /./, next: /--replace/ },
    },
    {
      ...{ name: 'rows of a table without a primary key', words: rescue('--table', 'bare') },
      ...{ type: 'Unsupported', message: /table public\.bare has no primary key/, place: 'tables' },
      ...{ expected: 'a table with a primary key', found: 'public.bare', next: /--into-database NAME$/ },
    },
    {
      ...{ name: 'rows by a condition that is none', words: rescue('--table', 'people', '--where', 'nam = 1') },
      ...{ type: 'ConfigInvalid', message: /the condition is none over columns of public\.people/, place: 'where' },
      ...{ expected: /SQL that is true or false/, found: /nam = 1/, next: /columns: id, name/ },
    },
    {
      ...{
        name: 'rows of a database that is not in the base',
        words: ['rescue', 'shop', '--only-database', 'crmm', '--table', 'x'],
      },
      ...{ type: 'NotFound', message: /database crmm is not in/, place: 'onlyDatabase' },
      ...{ expected: /crm, hr, postgres/, found: 'crmm', next: 'did you mean crm?' },
    },
  ];
}
