import { failure } from '../../../workflows/model/failure.ts';
import type { Identity } from '../../../workflows/model/manifest.ts';
import { chooseServer } from '../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../io/postgres/connection.ts';
import { query, withConnection } from '../../io/postgres/connection.ts';
import type { ReplicationConnection } from '../../io/postgres/replication.ts';
import { connectReplication, identifySystem } from '../../io/postgres/replication.ts';
import type { Run } from '../../io/run.ts';
import type { PostgresOptions } from './options.ts';

/**
 * Who a cluster is, asked in SQL: system identifier, version, timeline, segment size, and the size of the databases that
 * this role may measure. The timeline of the control file is stale after a promotion until the next checkpoint; the name
 * of the current WAL file, and on a standby the end of recovery, are not.
 */
export async function readIdentity(client: SqlClient): Promise<Identity> {
  const [row] = await query<{ system: string; version: number; timeline: number; segment: number; size: string }>(
    client,
    `select s.system_identifier::text as system,
            current_setting('server_version_num')::int as version,
            i.bytes_per_wal_segment as segment,
            case when pg_is_in_recovery() then greatest(c.timeline_id, r.min_recovery_end_timeline)
                 else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
            (select coalesce(sum(case when has_database_privilege(oid, 'connect') then pg_database_size(oid) end), 0)::text
               from pg_database) as size
       from pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r, pg_control_init() i`,
  );
  if (!row) throw failure('Bug', 'pg_control functions returned no row');
  return {
    kind: 'postgres',
    systemId: row.system,
    serverVersion: row.version,
    timeline: row.timeline,
    segmentBytes: row.segment,
    sizeBytes: Number(row.size),
  };
}

/** The same, with what the walsender says of itself: both connections must reach one server. */
export async function identityThrough(connection: ReplicationConnection, client: SqlClient): Promise<Identity> {
  const identity = await readIdentity(client);
  const { systemId, timeline } = await identifySystem(connection);
  if (systemId === identity.systemId) return { ...identity, timeline };
  throw failure('Precondition', `postgres ${connection.place} is another cluster than SQL sessions reach`, {
    place: connection.place,
    expected: `system identifier ${identity.systemId}`,
    found: `system identifier ${systemId}`,
    hint: 'connect to one server, not to a pool or a load balancer: connection.host',
  });
}

/** Of the cluster, as its primary says or else a standby. */
export async function identityOf(options: PostgresOptions, run: Run): Promise<Identity> {
  const server = (await chooseServer(options.connection, run)).connection;
  await using connection = await connectReplication(server, run);
  // Awaited here: the walsender is closed when this function is left.
  return await withConnection(server, { signal: run.signal }, (client) => identityThrough(connection, client));
}

/** Precondition when the server is not the one it was: another cluster, version or timeline. */
export function checkSameIdentity(
  before: Pick<Identity, 'systemId' | 'timeline'>,
  after: Pick<Identity, 'systemId' | 'timeline'>,
): void {
  const changed = (['systemId', 'timeline'] as const).find((name) => before[name] !== after[name]);
  if (changed === undefined) return;
  const what = changed === 'timeline' ? 'was promoted' : 'was replaced';
  throw failure('Precondition', `cluster ${what} during the backup: ${changed} changed`, {
    place: changed,
    expected: String(before[changed]),
    found: String(after[changed]),
    hint: 'nothing of this backup is kept; run it again',
  });
}
