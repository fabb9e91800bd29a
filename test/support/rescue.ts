import assert from 'node:assert/strict';
import { plainRun } from '../../activities/io/run.ts';
import { createPointFiles } from '../../activities/sources/postgres/files/index.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { createRowRescue } from '../../activities/sources/postgres/rescue/index.ts';
import type { RowRescue } from '../../activities/sources/row-rescue.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { RowsTask } from '../../workflows/model/rescue.ts';
import type { TestPostgres } from './postgres.ts';
import { withServerDir } from './postgres.ts';
import type { Scene } from './recovery.ts';
import { planFor, recoveryOptions, timeOf } from './recovery.ts';

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

/** Of the tables, as somebody may name them. */
export const NAMES = ['lines', 'shop.orders', 'tree', 'events'];

/** Database `crm` with all that, and one beside it. */
export async function fillTables(server: TestPostgres): Promise<void> {
  await server.sql('create database crm');
  await server.sql('create database other');
  await server.sql(TABLES, 'crm');
}

export interface World extends Scene {
  rescue: RowRescue;
  task: RowsTask;
  crm(text: string): Promise<Record<string, unknown>[]>;
}

/** A proven copy of the database as it was, that is not finished, beside the damaged one. */
export async function withCopy(scene: Scene, callback: (world: World) => Promise<void>): Promise<void> {
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
export async function waiting(sql: World['crm']): Promise<void> {
  for (;;) {
    const rows = await sql(`select from pg_locks where locktype = 'advisory' and not granted`);
    if (rows.length > 0) return;
  }
}

export const ignore = (): Promise<void> => Promise.resolve();
