import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serverPlace } from '../../activities/io/postgres/choose-server.ts';
import { query } from '../../activities/io/postgres/connection.ts';
import { plainRun } from '../../activities/io/run.ts';
import { createPointFiles } from '../../activities/sources/postgres/files/index.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { withRecovered } from '../../activities/sources/postgres/recovery/session.ts';
import { createRowRescue } from '../../activities/sources/postgres/rescue/index.ts';
import type { DifferingRow, RowRescue } from '../../activities/sources/row-rescue.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { PartialPlan } from '../../workflows/model/partial.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { Difference, RowsTask } from '../../workflows/model/rescue.ts';
import { isChanged } from '../../workflows/model/rescue.ts';
import { withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Scene } from '../support/recovery.ts';
import { planFor, recoveryOptions, timeOf, valueOf, withScene } from '../support/recovery.ts';

/** Keys of each kind, rows that refer to each other, and columns that nobody may set. */
const TABLES = `
  create schema shop;
  create type shop.state as enum ('open', 'paid');
  create table shop.orders (
    id bigint generated always as identity primary key, customer text not null, state shop.state, amount numeric(12,4),
    doubled numeric generated always as (amount * 2) stored, at timestamptz, raw bytea, tags text[], doc jsonb, pad char(9),
    score double precision, "odd ""name" text, nothing int);
  create unique index orders_customer on shop.orders (customer);
  create table shop.lines (
    order_id bigint references shop.orders, n int, note text, "lifeboat_row_of_table" int, primary key (order_id, n));
  create table shop.tree (id text primary key, parent text references shop.tree, v int);
  create table shop.events (at date, id int, what text, primary key (at, id)) partition by range (at);
  create table shop.events_1 partition of shop.events for values from ('2025-01-01') to ('2026-01-01');
  create table shop.events_2 partition of shop.events for values from ('2026-01-01') to ('2027-01-01');
  create table shop.noted (what text);
  create table shop.bare (v int);
  create function shop.empty() returns bool language plpgsql as 'begin delete from shop.bare; return true; end';
  create function shop.pure() returns bool immutable language plpgsql as 'begin return shop.empty(); end';
  insert into shop.bare values (1);
  create function shop.note() returns trigger language plpgsql as 'begin insert into noted values (tg_op); return null; end';
  alter database crm set search_path = shop, public;
  insert into shop.orders (customer, state, amount, at, raw, tags, doc, pad, score, "odd ""name")
    select 'customer ' || g, (case when g % 2 = 0 then 'paid' else 'open' end)::shop.state, g / 7.0,
           '2026-01-01'::timestamptz + g * interval '1.5 s', decode(md5(g::text), 'hex'), array['a' || g, null, E'x,"y"\\\\'],
           jsonb_build_object('n', g), 'p' || g, g / 3.0, E'line\\n\\\\ {"' || g from generate_series(1, 900) g;
  insert into shop.lines select id, 1, repeat('note ', 3) || customer, id from shop.orders;
  insert into shop.tree select 'ä' || g, case when g > 1 then 'ä' || (g / 2) end, g from generate_series(1, 300) g;
  insert into shop.events select '2025-06-01'::date + g, g, 'event ' || g from generate_series(1, 400) g;
  create trigger noted after insert or update on shop.orders for each row execute function shop.note()`;

/** What somebody did who should not have, and what went on meanwhile. */
const DAMAGE = [
  'delete from shop.lines where order_id % 3 = 0',
  'delete from shop.orders where id % 3 = 0',
  `update shop.orders set amount = 0 where id in (1, 2, 4)`,
  `insert into shop.orders (customer, amount) values ('new', 1), ('newer', 2)`,
  'delete from shop.tree',
  'delete from shop.events where id > 100',
  'truncate shop.noted',
];

/** The commit waits for whoever holds the lock. */
const HELD = `
  delete from shop.tree where id = 'ä300';
  create function shop.hold() returns trigger language plpgsql as
    'begin perform pg_catalog.pg_advisory_xact_lock(4711); return null; end';
  create constraint trigger held after insert on shop.tree deferrable initially deferred
    for each row execute function shop.hold()`;

const NAMES = ['lines', 'shop.orders', 'tree', 'events'];

async function fill(server: TestPostgres): Promise<void> {
  await server.sql('create database crm');
  await server.sql('create database other');
  await server.sql(TABLES, 'crm');
}

interface World extends Scene {
  rescue: RowRescue;
  task: RowsTask;
  crm(text: string): Promise<Record<string, unknown>[]>;
}

/** A proven copy of the database as it was, that is not finished, beside the damaged one. */
async function withCopy(scene: Scene, callback: (world: World) => Promise<void>): Promise<void> {
  const { server, vault, guard } = scene;
  const options = recoveryOptions(server);
  const time = await timeOf(server.sql);
  for (const statement of DAMAGE) await server.sql(statement, 'crm');
  await guard.caughtUp();
  const files = createPointFiles(options, plainRun());
  const from = { reader: await vault.open('p1'), chain: ['p1'] };
  const { partial } = await files.choose(from, { database: 'crm', tables: NAMES });
  await withServerDir(async (dir) => {
    const target = { kind: 'time', time, inclusive: true } as const;
    const plan: RecoveryPlan = await planFor(dir, guard, { target, partial });
    const recovery = createRecovery('shop', options, plainRun());
    try {
      await recovery.prepare(plan);
      await recovery.fetch(plan, await vault.open('p1'));
      const replay = await recovery.replay(plan, vault.wal);
      await recovery.open(plan, vault.wal);
      assert.ok((await recovery.prove(plan, replay)).ok);
      const rescue = createRowRescue(options, plainRun());
      const task = { source: 'shop', plan, tables: NAMES };
      await callback({ ...scene, rescue, task, crm: (text) => server.sql(text, 'crm') });
    } finally {
      await recovery.discard(plan);
    }
  });
}

/** Until somebody waits for a lock of the test. */
async function waiting(sql: World['crm']): Promise<void> {
  for (;;) {
    const rows = await sql(`select from pg_locks where locktype = 'advisory' and not granted`);
    if (rows.length > 0) return;
  }
}

const ignore = (): Promise<void> => Promise.resolve();

function countsOf({ tables }: Pick<Difference, 'tables'>): Record<string, number[]> {
  return Object.fromEntries(
    tables.map(({ table, chosen, missing, differing, extra }) => [table, [chosen, missing, differing, extra]]),
  );
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: rows that are gone come back as they were, once, and nothing else is touched`, (t) =>
    withScene({ version, before: fill }, async (scene) => {
      const sums = async (where = 'true'): Promise<string> =>
        valueOf(
          (text) => scene.server.sql(text, 'crm'),
          `select string_agg(md5(o::text), '' order by id) from shop.orders o where ${where}`,
        );
      const before = await sums('id <= 900 and id not in (1, 2, 4)');
      const whole = await sums('id <= 900');
      await withCopy(scene, async (world) => {
        const { rescue, task, crm } = world;
        const noted: DifferingRow[] = [];
        const found = await rescue.compare(task, async (row) => void noted.push(row));

        await t.test('the difference is what was done', () => {
          assert.deepEqual(countsOf(found), {
            'shop.lines': [900, 300, 0, 0],
            'shop.orders': [900, 300, 3, 2],
            'shop.tree': [300, 300, 0, 0],
            'shop.events': [400, 300, 0, 0],
          });
          assert.deepEqual([found.inserts, found.updates], [1200, 0]);
          assert.equal(noted.length, 1205);
          const orders = noted.filter(({ table }) => table === 'shop.orders');
          const keys = (what: string): string[] => orders.filter((row) => row.what === what).map(({ key }) => key);
          assert.deepEqual(keys('differing').toSorted(), ['(1)', '(2)', '(4)']);
          assert.deepEqual(keys('extra').toSorted(), ['(901)', '(902)']);
        });

        await t.test('a condition that writes is refused on both sides, and has written nothing', async () => {
          const several = 'true), false); delete from shop.bare; commit; select coalesce((true';
          for (const where of [several, 'shop.pure()']) {
            await assert.rejects(rescue.check('crm', { tables: ['orders'], where }), (error) => {
              const { place, found } = failureFacts(error);
              assert.match(found ?? '', /multiple commands|read-only transaction/);
              return failureTypeOf(error) === 'ConfigInvalid' && place === 'where';
            });
          }
          const inCopy = (text: string): Promise<Record<string, unknown>[]> =>
            withRecovered(task.plan, { database: 'crm' }, (client) => query(client, text));
          for (const where of [several, 'shop.pure()', 'shop.empty()'])
            await assert.rejects(
              rescue.compare({ ...task, tables: ['orders'], where }, ignore),
              /multiple commands|read-only/,
            );
          assert.deepEqual(await inCopy('select v from shop.bare'), [{ v: 1 }]);
          assert.deepEqual(await crm('select v from shop.bare'), [{ v: 1 }]);
        });

        await t.test('a row that has changed since keeps all of it from being written', async () => {
          await crm('delete from shop.events where id = 1');
          await assert.rejects(rescue.write({ ...task, hash: found.hash }), isChanged);
          assert.equal(await valueOf(crm, 'select count(*) from shop.tree'), '0');
          await crm(`insert into shop.events values ('2025-06-02', 1, 'event 1')`);
        });

        await t.test('what must be unique and is taken keeps all of it from being written', async () => {
          await crm(`update shop.orders set customer = 'customer 3' where customer = 'new'`);
          const { hash } = await rescue.compare(task, ignore);
          await assert.rejects(rescue.write({ ...task, hash }), (error) => {
            assert.equal(failureTypeOf(error), 'Precondition');
            return /1 of 300 rows of shop\.orders cannot be inserted/.test(String(error));
          });
          assert.equal(await valueOf(crm, 'select count(*) from shop.tree'), '0');
          await crm(`update shop.orders set customer = 'new' where customer = 'customer 3'`);
        });

        await t.test('written in one transaction, by the order of keys, with triggers; once', async () => {
          // One that was given up before: the server knows that it was.
          const aborted = await world.server.connect('crm');
          await aborted.query('begin');
          const [row] = (await aborted.query<{ xid: string }>('select pg_current_xact_id()::text as xid')).rows;
          await aborted.query('rollback');
          await aborted.end();
          const attempt = join(`${task.plan.into}.lifeboat`, 'rescued.json');
          const attempted = (server: string): Promise<void> =>
            writeFile(
              attempt,
              JSON.stringify({ hash: found.hash, rescued: { server, xid: row?.xid, tables: [], behind: [] } }),
            );
          await attempted('the server before a failover');
          await assert.rejects(
            rescue.write({ ...task, hash: found.hash }),
            (error) => failureTypeOf(error) === 'OutcomeUnknown',
          );
          await attempted(serverPlace(world.server.connection));
          const done = await rescue.write({ ...task, hash: found.hash });
          const written = Object.fromEntries(done.tables.map(({ table, inserted }) => [table, inserted]));
          assert.deepEqual(written, { 'shop.lines': 300, 'shop.orders': 300, 'shop.tree': 300, 'shop.events': 300 });
          assert.deepEqual(done.behind, []);
          assert.equal(await sums('id <= 900 and id not in (1, 2, 4)'), before);
          assert.equal(await valueOf(crm, 'select count(*) from shop.orders where id > 900'), '2');
          assert.equal(await valueOf(crm, 'select sum(amount) from shop.orders where id in (1, 2, 4)'), '0.0000');
          assert.deepEqual(await rescue.write({ ...task, hash: found.hash }), done);
          assert.equal(await valueOf(crm, `select count(*) from shop.noted where what = 'INSERT'`), '300');
        });

        await t.test('what differs is overwritten when that is wished, and of the chosen rows only', async () => {
          const wish = { ...task, tables: ['orders'], overwrite: true };
          const some = await rescue.compare({ ...wish, where: 'id < 3 -- the first' }, ignore);
          assert.deepEqual([countsOf(some)['shop.orders'], some.updates], [[2, 0, 2, 2], 2]);
          const { hash, updates } = await rescue.compare(wish, ignore);
          assert.equal(updates, 3);
          const { tables } = await rescue.write({ ...wish, hash });
          assert.deepEqual(tables, [{ table: 'shop.orders', inserted: 0, overwritten: 3 }]);
          assert.equal(await sums('id <= 900'), whole);
        });

        await t.test('a sequence that was set back is told', async () => {
          await crm('truncate shop.orders, shop.lines restart identity');
          const { hash } = await rescue.compare(task, ignore);
          const { behind } = await rescue.write({ ...task, hash });
          assert.deepEqual(behind, ['shop.orders.id: sequence at 0, rows to 900']);
          assert.equal(await sums(), whole);
        });

        await t.test('who is cancelled while it is committed hears that it was', async () => {
          await crm(HELD);
          const holder = await world.server.connect('crm');
          try {
            const wish = { ...task, tables: ['tree'] };
            const { hash } = await rescue.compare(wish, ignore);
            await holder.query('select pg_advisory_lock(4711)');
            const stopper = new AbortController();
            const late = createRowRescue(recoveryOptions(world.server), plainRun({ signal: stopper.signal }));
            const writing = late.write({ ...wish, hash });
            await Promise.race([writing, waiting(crm)]);
            stopper.abort(new Error('cancelled in the test'));
            await holder.query('select pg_advisory_unlock(4711)');
            assert.deepEqual((await writing).tables, [{ table: 'shop.tree', inserted: 1, overwritten: 0 }]);
            assert.equal(await valueOf(crm, 'select count(*) from shop.tree'), '300');
          } finally {
            await holder.end();
          }
        });

        await t.test('rows do not go into another database that has the name now', async () => {
          const partial = { ...task.plan.partial, oid: 5, database: 'crm' } as PartialPlan;
          const other = { ...task, plan: { ...task.plan, partial } };
          await assert.rejects(rescue.compare(other, ignore), (error) => {
            const { expected, place } = failureFacts(error);
            assert.deepEqual([expected, place], ['the database with oid 5', 'database crm']);
            return failureTypeOf(error) === 'Precondition';
          });
        });

        await t.test(
          'what cannot be taken is refused before there is a copy, and a table that has changed',
          async () => {
            const refused = async (
              wish: { tables: string[]; where?: string },
              type: string,
              place: string,
            ): Promise<void> =>
              assert.rejects(rescue.check('crm', wish), (error) => {
                const facts = failureFacts(error);
                assert.ok(facts.expected && facts.found && facts.hint, JSON.stringify(facts));
                return failureTypeOf(error) === type && facts.place === place;
              });
            await refused({ tables: ['orderz'] }, 'NotFound', 'tables');
            await refused({ tables: ['bare'] }, 'Unsupported', 'tables');
            await refused({ tables: ['orders'], where: 'custmer = 1' }, 'ConfigInvalid', 'where');
            await rescue.check('crm', { tables: NAMES });
            await crm('alter table shop.tree add column w int');
            await assert.rejects(rescue.compare(task, ignore), (error) => failureTypeOf(error) === 'Precondition');
          },
        );
      });
    }));
}
