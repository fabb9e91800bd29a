import { failure } from '../../../workflows/model/failure.ts';
import type { MatchedSettings } from '../../../workflows/model/manifest.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { query } from '../../io/postgres/connection.ts';

/** What a recovering server must match or raise (manual, "Hot Standby": administrator's overview). */
export const MATCHED_SETTINGS = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const;

/** What says how the cluster was set up, and what it needs to start. */
const DESCRIBING = [
  'wal_level',
  'track_commit_timestamp',
  'shared_preload_libraries',
  'data_checksums',
  'block_size',
  'segment_size',
  'server_encoding',
  'lc_messages',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'timezone',
  'huge_pages',
  'full_page_writes',
];

export async function readSettings(client: SqlClient): Promise<MatchedSettings> {
  const rows = await query<{ name: string; setting: string }>(
    client,
    `select name, setting from pg_settings where name = any($1)
     union all
     select 'lc_collate', datcollate from pg_database where datname = 'template1'
     union all
     select 'lc_ctype', datctype from pg_database where datname = 'template1'
     union all
     select 'superuser', rolname from pg_roles where oid = 10`,
    [[...MATCHED_SETTINGS, ...DESCRIBING]],
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.setting]));
}

/** Precondition for settings under which no base backup can ever be taken, before the server is asked for one. */
export function refuseSettings(settings: MatchedSettings): void {
  const { wal_level: level = '', max_wal_senders: senders = '' } = settings as Record<string, string>;
  if (level === 'minimal') {
    throw failure('Precondition', 'wal_level is minimal: such WAL cannot bring a backup to a consistent state', {
      place: 'wal_level',
      expected: 'wal_level = replica or logical',
      found: 'wal_level = minimal',
      hint: "alter system set wal_level = 'replica'; alter system set max_wal_senders = 10; then restart the server",
    });
  }
  if (senders === '0') {
    throw failure('Precondition', 'max_wal_senders is 0: the server lets no backup and no WAL out', {
      place: 'max_wal_senders',
      expected: 'max_wal_senders of at least 3',
      found: 'max_wal_senders = 0',
      hint: 'alter system set max_wal_senders = 10; then restart the server',
    });
  }
}

/** The server's clock, ISO 8601 UTC with microseconds. */
export async function serverTime(client: SqlClient): Promise<string> {
  const [row] = await query<{ now: string }>(
    client,
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
  );
  return row?.now ?? '';
}

/** Every transaction below it has ended; 64 bits, decimal (manual 9.27.7 "Transaction ID and Snapshot Information Functions"). */
export async function oldestXid(client: SqlClient): Promise<string> {
  const [row] = await query<{ xid: string }>(client, 'select pg_snapshot_xmin(pg_current_snapshot())::text as xid');
  if (!row) throw failure('Bug', 'pg_current_snapshot returned no row');
  return row.xid;
}
