import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { takeDump } from '../../activities/sources/postgres-logical/dump/index.ts';
import type { LogicalOptions } from '../../activities/sources/postgres-logical/options.ts';
import { logicalSchema } from '../../activities/sources/postgres-logical/options.ts';
import { createRestoring } from '../../activities/sources/postgres-logical/restore/index.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import type { ImportPlan } from '../../workflows/model/dump.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { OpenEvidence, Proof, RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { TestPostgres } from './postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { run as runAsServer, serverUser } from './postgres.ts';

/** One of nearly everything that a dump can hold, and rows that differ in every column. */
export const SHOP = `
  create role shop_owner login password 'shop secret';
  create role reader;
  create role auditor bypassrls;
  alter role reader set statement_timeout = '5s';
  grant reader to auditor;
  grant temporary on database shop to reader;`;

/** Come last: they would be in the way. */
export const SHOP_SETTINGS = `
  alter database shop owner to shop_owner;
  alter database shop set search_path = "$user", public, shop;
  alter database shop set default_transaction_read_only = on;
  alter role reader in database shop set work_mem = '7MB';`;

export const SHOP_OBJECTS = `
  set search_path = public;
  create extension citext;
  create schema shop authorization shop_owner;
  create type shop.state as enum ('open', 'paid');
  create domain shop.amount as numeric check (value >= 0);
  create function shop.twice(n numeric) returns numeric language sql immutable as 'select n * 2';
  create table shop.orders (
    id bigint generated always as identity primary key, customer public.citext not null, state shop.state default 'open',
    amount shop.amount, doubled numeric generated always as (shop.twice(amount)) stored, at timestamptz, raw bytea, tags text[],
    doc jsonb, span int4range, "weird ""name" text);
  insert into shop.orders (customer, state, amount, at, raw, tags, doc, span, "weird ""name")
    select 'Customer ' || n, (case when n % 2 = 0 then 'paid' else 'open' end)::shop.state, n / 7.0,
           '2026-01-01'::timestamptz + n * interval '1.5 s', decode(md5(n::text), 'hex'),
           array['a' || n, null, 'x,"y"'], jsonb_build_object('n', n), int4range(n, n + 5), E'line\\n\\\\ ' || n
      from generate_series(1, 2000) n;
  create index orders_customer on shop.orders (customer);
  create table shop.lines (order_id bigint references shop.orders, n int, note text, primary key (order_id, n));
  insert into shop.lines select id, 1, repeat('note ', 3) from shop.orders;
  create table shop.events (at date not null, what text) partition by range (at);
  create table shop.events_2025 partition of shop.events for values from ('2025-01-01') to ('2026-01-01');
  create table shop.events_2026 partition of shop.events for values from ('2026-01-01') to ('2027-01-01');
  create index events_at on shop.events (at);
  insert into shop.events select '2025-06-01'::date + n, 'event ' || n from generate_series(1, 400) n;
  create sequence shop.numbers increment by 5; select nextval('shop.numbers'), nextval('shop.numbers');
  create sequence shop.unused;
  create view shop.paid as select * from shop.orders where state = 'paid';
  create materialized view shop.totals as select state, sum(amount) as total from shop.orders group by 1;
  create unique index totals_state on shop.totals (state);
  create materialized view shop.later as select 1 as one with no data;
  create table shop.secrets (owner name, secret text);
  insert into shop.secrets values ('shop_owner', 'a'), ('reader', 'b');
  alter table shop.secrets enable row level security;
  alter table shop.secrets force row level security;
  create policy own on shop.secrets using (owner = current_user);
  create unlogged table shop.cache (k text primary key, v text);
  insert into shop.cache values ('k', 'v');
  create function shop.noted() returns trigger language plpgsql as 'begin new.note := coalesce(new.note, '''') || ''!''; return new; end';
  create trigger noted before insert on shop.lines for each row execute function shop.noted();
  create function public.watched() returns event_trigger language plpgsql as 'begin raise notice ''ddl''; end';
  create event trigger watched on ddl_command_end execute function public.watched();
  create statistics shop.related on state, amount from shop.orders;
  create publication shouts for table shop.orders, shop.lines;
  create subscription listens connection 'host=127.0.0.1 port=1 dbname=nowhere password=hunter2' publication p
    with (connect = false, slot_name = 'listens');
  grant select on shop.orders to reader; grant usage on schema shop to reader;
  alter default privileges in schema shop grant select on tables to reader;
  comment on table shop.orders is 'what people bought';
  select lo_from_bytea(70001, decode(repeat('00ff', 3000), 'hex')), lo_from_bytea(70002, ''),
         lo_from_bytea(70003, decode(repeat('ab', 2500000), 'hex'));
  create table "Odd Schema's ""t""" (a int, "t" text); insert into "Odd Schema's ""t""" values (1, 'one'), (null, null);`;

/** A trigger at login, that keeps everybody out; version 17 brought it. */
export const LOGIN_TRIGGER = `
  create function public.keep_out() returns event_trigger language plpgsql as
    'begin raise exception ''nobody comes in''; end';
  create event trigger keep_out on login execute function public.keep_out();`;

export function logicalOptions(server: TestPostgres, overrides: Record<string, unknown> = {}): LogicalOptions {
  const { name } = serverUser();
  const { dump, restore, ...rest } = overrides as Record<string, Record<string, unknown>>;
  return logicalSchema.parse({
    connection: server.connection,
    dump: { binaries: server.binaries, ...dump },
    restore: { binaries: server.binaries, runAs: name, ...restore },
    ...rest,
  });
}

export interface Dumped {
  vault: Vault;
  point: PointSummary;
}

export async function dumpPoint(
  options: LogicalOptions,
  vault: Vault,
  use: { id: string; run?: Run },
): Promise<PointSummary> {
  await using draft = await vault.begin(use.id);
  await draft.finish(await takeDump(options, { out: draft, run: use.run ?? plainRun() }));
  return vault.publish(use.id);
}

/** A folder that the server's user may write below. */
export async function openFolder(dir: string): Promise<string> {
  const folder = join(dir, 'scratch');
  await mkdir(folder, { recursive: true });
  await chmod(dir, 0o755);
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
  return folder;
}

export async function dumpPlan(
  { vault, point }: Dumped,
  into: string,
  use: Partial<RecoveryPlan> & { only?: Partial<ImportPlan> } = {},
): Promise<RecoveryPlan> {
  const { only, ...rest } = use;
  const { manifest } = await vault.open(point.point);
  const { point: name, timeline, startLsn: fromLsn, stopLsn: toLsn, startedAt: from } = point;
  return {
    ...{ run: 'run-1', source: 'shop', host: 'here', base: point, target: { kind: 'latest' } },
    ...{ timelineChoice: 'latest', timeline, action: 'promote', legs: [], into, port: await freePort() },
    ...{ tablespaces: {}, settings: manifest.settings },
    dump: { toolMajor: manifest.dump?.toolMajor ?? 0, ...only },
    estimate: { fetchBytes: point.bytes, storedBytes: point.storedBytes, walBytes: 0, seconds: 1 },
    window: { point: name, timeline, fromLsn, toLsn, from },
    decidedAt: from,
    ...rest,
  };
}

export interface Restored {
  open: OpenEvidence;
  proof: Proof;
}

/** Every step of a restore but the last, in order. */
export async function restoreDump(
  options: LogicalOptions,
  { vault, point }: Dumped,
  plan: RecoveryPlan,
): Promise<Restored> {
  const restoring = createRestoring(options, plainRun());
  await restoring.check(plan);
  await restoring.prepare(plan);
  await restoring.fetch(plan, await vault.open(point.point));
  const open = await restoring.open(plan, vault.wal);
  const proof = await restoring.prove(plan, undefined, () => vault.open(point.point));
  return { open, proof };
}

/** What a database holds, by PostgreSQL's own words: the oracle. Comments and the guard that is random each time are left out. */
export async function textOf(
  binaries: string,
  at: { host: string; port: number; database: string },
  args: string[] = [],
): Promise<string> {
  const text = await runAsServer(join(binaries, 'pg_dump'), [
    ...['-h', at.host, '-p', String(at.port), '-U', 'postgres', '-d', at.database, ...args],
  ]);
  return bareOf(text);
}

/** Roles with their settings, memberships and password hashes. */
export async function rolesOf(binaries: string, at: { host: string; port: number }): Promise<string> {
  const server = ['-h', at.host, '-p', String(at.port), '-U', 'postgres', '-l', 'template1'];
  return bareOf(await runAsServer(join(binaries, 'pg_dumpall'), ['--roles-only', ...server]));
}

function bareOf(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('--') && !/^\\(un)?restrict /.test(line) && line !== '')
    .join('\n');
}

/** The first line that differs, with what stands there in each; undefined when both are the same. */
export function firstDifference(one: string, other: string): [string, string] | undefined {
  const [a, b] = [one.split('\n'), other.split('\n')];
  const at = a.findIndex((line, index) => line !== b[index]);
  if (at < 0 && a.length === b.length) return undefined;
  const place = at < 0 ? a.length : at;
  return [(a[place] ?? '(nothing)').slice(0, 300), (b[place] ?? '(nothing)').slice(0, 300)];
}
