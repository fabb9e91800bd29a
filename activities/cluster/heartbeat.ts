import type { Heartbeat } from '../../workflows/model/cluster.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import type { NodeUse } from './node.ts';

/** Any number of ours: two writers must not make the table at the same time, which one of them would fail at. */
const LOCK = 6_091_826_443;

/** One row for each who writes, so that none waits for another. */
const TABLE = `
  select pg_advisory_xact_lock(${LOCK});
  create schema if not exists lifeboat;
  create table if not exists lifeboat.heartbeat (
    service text not null, writer text not null, at timestamptz not null, primary key (service, writer)) with (fillfactor = 50)`;

const BEAT = `
  insert into lifeboat.heartbeat as h (service, writer, at) values ($1, $2, clock_timestamp())
      on conflict (service, writer) do update set at = excluded.at`;

const THERE = `select to_regclass('lifeboat.heartbeat') is not null as there`;

/** Writes a heartbeat on a primary: that a row can be written is seen, and its copy at a standby says how far that is behind. */
export async function beat({ service }: Pick<NodeUse, 'service'>, sql: SqlClient, writer: string): Promise<void> {
  if (!(await isThere(sql))) await query(sql, TABLE);
  await query(sql, BEAT, [service, writer]);
}

/** The newest heartbeat that a node has; undefined where none was ever written. */
export async function heartbeatIn(sql: SqlClient, service: string): Promise<Heartbeat | undefined> {
  if (!(await isThere(sql))) return undefined;
  const [row] = await query<{ at: string | null; age: number | null }>(
    sql,
    `select to_char(max(at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
            (extract(epoch from clock_timestamp() - max(at)) * 1000)::float8 as age
       from lifeboat.heartbeat where service = $1`,
    [service],
  );
  if (!row || row.at === null) return undefined;
  return { at: row.at, ageMs: Math.max(0, Math.round(row.age ?? 0)) };
}

async function isThere(sql: SqlClient): Promise<boolean> {
  const [row] = await query<{ there: boolean }>(sql, THERE);
  return row?.there === true;
}
