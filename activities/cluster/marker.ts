import { failure } from '../../workflows/model/failure.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import type { Mover } from './epoch.ts';
import { claim, OVERTAKEN } from './epoch.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';

/** One row for each service: a node that has it read shares its history with the one that wrote it. */
const TABLE = `
  create schema if not exists lifeboat;
  create table if not exists lifeboat.marker (
    service text primary key, epoch bigint not null, marker text not null, at timestamptz not null default clock_timestamp())`;

const WRITE = `
  insert into lifeboat.marker as m (service, epoch, marker) values ($1, $2, $3)
      on conflict (service) do update set epoch = excluded.epoch, marker = excluded.marker, at = clock_timestamp()
   where m.epoch <= excluded.epoch
  returning at`;

/** What was written, and how far a node must have come to have it. */
export interface Marked {
  marker: string;
  lsn: Lsn;
  timeline: number;
}

/** Writes a marker on a primary, and the epoch with it. Precondition when the row has a higher one, or it is no primary. */
export async function mark(use: NodeUse, order: Mover & { marker: string }): Promise<Marked> {
  await claim(use, order);
  const { marker, epoch } = order;
  return withNode(use, async (sql) => {
    await query(sql, TABLE);
    const [written] = await query<{ at: unknown }>(sql, WRITE, [use.service, epoch, marker]);
    if (!written) throw overtaken(use, epoch);
    return { marker, ...(await positionOf(sql)) };
  });
}

/** On a primary: what is flushed now, and on which timeline. */
export async function positionOf(sql: SqlClient): Promise<{ lsn: Lsn; timeline: number }> {
  const [row] = await query<{ lsn: string; timeline: number }>(
    sql,
    `select pg_current_wal_flush_lsn()::text as lsn,
            ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline`,
  );
  return row ?? { lsn: '0/0', timeline: 0 };
}

/** Undefined where there is none. */
export async function readMarker(sql: SqlClient, service: string): Promise<string | undefined> {
  const [there] = await query<{ there: boolean }>(sql, `select to_regclass('lifeboat.marker') is not null as there`);
  if (!there?.there) return undefined;
  const [row] = await query<{ marker: string }>(sql, 'select marker from lifeboat.marker where service = $1', [
    service,
  ]);
  return row?.marker;
}

function overtaken({ name, service }: NodeUse, epoch: number): Error {
  return failure('Precondition', `${name} has the marker of a newer run`, {
    place: `lifeboat.marker of ${name}, service ${service}`,
    expected: `no epoch above ${epoch}`,
    found: 'a higher one',
    hint: 'lifeboat status: another run has taken over; this one must not move anything any more',
    evidence: OVERTAKEN,
  });
}
