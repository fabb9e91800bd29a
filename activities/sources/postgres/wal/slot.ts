import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';

export interface Slot {
  name: string;
  /** First WAL the server keeps for it. */
  restartLsn?: Lsn;
  /** reserved, extended, unreserved or lost (view pg_replication_slots). */
  walStatus: string;
  activePid?: number;
}

export async function readSlot(sql: SqlClient, name: string): Promise<Slot | undefined> {
  const [row] = await query<{ restart: string | null; status: string | null; pid: number | null; type: string }>(
    sql,
    'select restart_lsn::text as restart, wal_status as status, active_pid as pid, slot_type as type from pg_replication_slots where slot_name = $1',
    [name],
  );
  if (!row) return undefined;
  if (row.type !== 'physical') {
    throw failure('Precondition', `replication slot ${name} is not ours`, {
      place: name,
      expected: 'a physical slot',
      found: `a ${row.type} one`,
      hint: 'set wal.slot to a free name',
    });
  }
  return {
    name,
    walStatus: row.status ?? 'reserved',
    ...(row.restart === null ? {} : { restartLsn: row.restart }),
    ...(row.pid === null ? {} : { activePid: row.pid }),
  };
}

export function busySlot(slot: string, pid: number): Error {
  return failure('Busy', `replication slot ${slot} is in use`, {
    place: slot,
    expected: 'no other reader',
    found: `walsender ${pid}`,
    hint: 'another worker ships this source (lifeboat status), or one that died is not noticed yet: it is tried again',
    retryAfterMs: 3_000,
  });
}

export async function dropSlot(sql: SqlClient, name: string): Promise<void> {
  await query(sql, 'select pg_drop_replication_slot($1)', [name]);
}
