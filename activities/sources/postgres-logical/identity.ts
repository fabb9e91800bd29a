import { failure } from '../../../workflows/model/failure.ts';
import type { Lsn } from '../../../workflows/model/lsn.ts';
import type { Identity } from '../../../workflows/model/manifest.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { query } from '../../io/postgres/connection.ts';

/** Name of the kind, in the configuration and in manifests. */
export const KIND = 'postgres-logical';

/** Who a cluster is, as far as a dump cares, and where its WAL is now. */
export interface Moment {
  identity: Identity;
  lsn: Lsn;
  /** By the server's clock, ISO 8601 UTC. */
  at: string;
  /** Who was made with the cluster, and owns what nobody else does. */
  superuser: string;
}

/** A standby may be dumped like a primary. */
const MOMENT = `
  select s.system_identifier::text as system, current_setting('server_version_num')::int as version,
         i.bytes_per_wal_segment as segment,
         case when pg_is_in_recovery() then greatest(c.timeline_id, r.min_recovery_end_timeline)
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
         (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as lsn,
         to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at,
         (select rolname from pg_roles where oid = 10) as superuser,
         (select coalesce(sum(case when has_database_privilege(oid, 'connect') then pg_database_size(oid) end), 0)::text
            from pg_database) as size
    from pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r, pg_control_init() i`;

interface Row {
  system: string;
  version: number;
  segment: number;
  timeline: number;
  lsn: Lsn;
  at: string;
  superuser: string;
  size: string;
}

export async function momentOf(client: SqlClient): Promise<Moment> {
  const [row] = await query<Row & Record<string, unknown>>(client, MOMENT);
  if (!row) throw failure('Bug', 'pg_control functions returned no row');
  const { system: systemId, version: serverVersion, segment: segmentBytes, timeline, lsn, at, superuser, size } = row;
  return {
    identity: { kind: KIND, systemId, serverVersion, timeline, segmentBytes, sizeBytes: Number(size) },
    ...{ lsn, at, superuser },
  };
}
