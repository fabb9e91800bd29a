import { failure } from '../../../workflows/model/failure.ts';
import type { Identity, MatchedSettings } from '../../../workflows/model/manifest.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { query, withConnection } from '../../io/postgres/connection.ts';
import type { PostgresOptions } from './options.ts';

/** System identifier, version, timeline and size: what must never change under a backup. */
export async function readIdentity(client: SqlClient): Promise<Identity> {
  const [row] = await query<{ system: string; version: string; timeline: number; segment: string; size: string }>(
    client,
    `select s.system_identifier::text as system, current_setting('server_version_num') as version,
            case when pg_is_in_recovery() then c.timeline_id
                 else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
            i.bytes_per_wal_segment::text as segment,
            (select coalesce(sum(pg_database_size(oid)), 0)::text from pg_database) as size
       from pg_control_system() s, pg_control_checkpoint() c, pg_control_init() i`,
  );
  if (!row) throw failure('Bug', 'pg_control functions returned no row');
  return {
    kind: 'postgres',
    systemId: row.system,
    serverVersion: Number(row.version),
    timeline: row.timeline,
    segmentBytes: Number(row.segment),
    sizeBytes: Number(row.size),
  };
}

export function identityOf(options: PostgresOptions): Promise<Identity> {
  return withConnection(options.connection, {}, readIdentity);
}

/** Integrity or Precondition when the server is not the one it was: another cluster, version or timeline. */
export function checkSameIdentity(before: Identity, after: Identity): void {
  const changed = (['systemId', 'serverVersion', 'timeline'] as const).find((name) => before[name] !== after[name]);
  if (changed === undefined) return;
  throw failure('Precondition', `cluster changed during the backup: ${changed}`, {
    place: changed,
    expected: String(before[changed]),
    found: String(after[changed]),
    hint: 'it was promoted, upgraded or replaced; run the backup again',
  });
}

/** Settings a recovering server must match or raise (manual 26.4.3), and those that say how the cluster was set up. */
const MATCHED = [
  ...['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions'],
  ...['max_locks_per_transaction', 'wal_level', 'track_commit_timestamp', 'shared_preload_libraries', 'data_checksums'],
];

export async function readSettings(client: SqlClient): Promise<MatchedSettings> {
  const rows = await query<{ name: string; setting: string }>(
    client,
    'select name, setting from pg_settings where name = any($1)',
    [MATCHED],
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.setting]));
}
