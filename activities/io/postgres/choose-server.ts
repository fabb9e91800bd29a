import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure, failureFacts, failureTypeOf, findFailure, isRetryable } from '../../../workflows/model/failure.ts';
import type { ServerRole, ServerWish } from '../../../workflows/model/server-role.ts';
import type { Run } from '../run.ts';
import { query, withConnection } from './connection.ts';
import type { ConnectionOptions, ServerOptions } from './options.ts';
import { serversOf } from './options.ts';

/** A server of the cluster, as it said of itself when it was asked. */
export interface SeenServer {
  connection: ServerOptions;
  /** "db1:5432" */
  place: string;
  role: ServerRole;
  systemId: string;
  timeline: number;
}

/** The one that was chosen; what it is, is unknown where nobody had to ask. */
export type ChosenServer = Pick<SeenServer, 'connection' | 'place'> &
  Partial<SeenServer> & {
    /** What the others answered, where there are any that were asked. */
    others?: string;
  };

/** One that could not be asked, and why. */
export interface UnseenServer {
  connection: ServerOptions;
  place: string;
  error: unknown;
}

type Use = Pick<Run, 'signal'>;

/** What is meant where nothing is said: the primary of several servers, and the one where there is only one. */
export function wishOf(options: ConnectionOptions, said?: ServerWish): ServerWish | undefined {
  return said ?? (serversOf(options).length > 1 ? 'primary' : undefined);
}

/** For people: "db1:5432, db2:5432/shop as lifeboat". */
export function describeConnection(options: ConnectionOptions): string {
  return `${serversOf(options).map(serverPlace).join(', ')}/${options.database} as ${options.user}`;
}

export function serverPlace({ host, port }: Pick<ServerOptions, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Asks each server of the options, all at once: who it is, and what. In the order of the options. */
export function lookAtServers(options: ConnectionOptions, { signal }: Use): Promise<(SeenServer | UnseenServer)[]> {
  return Promise.all(
    serversOf(options).map(async (connection) => {
      const place = serverPlace(connection);
      try {
        return { connection, place, ...(await askServer(connection, signal)) };
      } catch (error) {
        signal.throwIfAborted();
        return { connection, place, error };
      }
    }),
  );
}

/**
 * The server that fits the wish; of several that do the first one on the newest timeline, because a primary that was failed
 * over from may still be up, and a standby may still follow it. Without a wish: the primary, else a standby. A single server
 * is not asked before it is used unless there is a wish. Failures: Unavailable while one that did not answer may be the one,
 * Precondition when none is or when they are of different clusters, else what kept the first from answering.
 */
export async function chooseServer(
  options: ConnectionOptions,
  use: Use & { want?: ServerWish | undefined },
): Promise<ChosenServer> {
  const [only, ...others] = serversOf(options);
  if (only && others.length === 0 && use.want === undefined) return { connection: only, place: serverPlace(only) };
  const all = await lookAtServers(options, use);
  const seen = all.filter((server) => 'role' in server);
  refuseTwoClusters(seen);
  const newest = Math.max(...seen.map(({ timeline }) => timeline));
  const current = seen.filter(({ timeline }) => timeline === newest);
  for (const role of rolesFor(use.want)) {
    const found = current.find((server) => server.role === role);
    if (found) return { ...found, ...othersOf(all, found) };
  }
  throw noneFits(all, use.want);
}

function othersOf(all: (SeenServer | UnseenServer)[], { connection }: SeenServer): { others?: string } {
  const others = all.filter((server) => server.connection !== connection);
  return others.length > 0 ? { others: others.map(describeServer).join('; ') } : {};
}

function rolesFor(want: ServerWish | undefined): ServerRole[] {
  if (want === undefined) return ['primary', 'standby'];
  return want === 'prefer-standby' ? ['standby', 'primary'] : [want];
}

/** The timeline of the control file is stale after a promotion until the next checkpoint. */
const WHO = `
  select s.system_identifier::text as system, pg_is_in_recovery() as standby,
         case when pg_is_in_recovery()
              then greatest(c.timeline_id, r.min_recovery_end_timeline,
                            (select received_tli from pg_stat_get_wal_receiver()))
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline
    from pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() r`;

async function askServer(
  connection: ServerOptions,
  signal: AbortSignal,
): Promise<Pick<SeenServer, 'role' | 'systemId' | 'timeline'>> {
  return withConnection(connection, { signal }, async (sql) => {
    const [row] = await query<{ system: string; standby: boolean; timeline: number }>(sql, WHO);
    if (!row) throw failure('Bug', 'pg_control functions returned no row');
    return { role: row.standby ? 'standby' : 'primary', systemId: row.system, timeline: row.timeline };
  });
}

function refuseTwoClusters(seen: SeenServer[]): void {
  const [first] = seen;
  const other = seen.find(({ systemId }) => systemId !== first?.systemId);
  if (!first || !other) return;
  throw failure('Precondition', 'connection.host names servers of different clusters', {
    place: other.place,
    expected: `system identifier ${first.systemId}, as ${first.place} has`,
    found: `system identifier ${other.systemId}`,
    hint: 'list a primary and its own standbys in connection.host; another cluster is a source of its own',
  });
}

function noneFits(all: (SeenServer | UnseenServer)[], want: ServerWish | undefined): Error {
  const found = all.map(describeServer).join('; ');
  const unseen = all.filter((server) => 'error' in server);
  const unavailable = unseen.find(({ error }) => isRetryable(error));
  const first = unseen[0];
  if (all.length === 1 && first) return first.error as Error;
  const seenAll = unseen.length === 0;
  const type: FailureType = seenAll ? 'Precondition' : unavailable ? 'Unavailable' : typeOf(first?.error);
  const wanted = want === undefined ? 'server' : want === 'prefer-standby' ? 'standby or primary' : want;
  return failure(type, `no ${wanted} among the servers of connection.host: ${found}`, {
    place: 'connection.host',
    expected: `a ${wanted} on the newest timeline`,
    found,
    hint: hintOf(want, seenAll, first?.error),
  });
}

function typeOf(error: unknown): FailureType {
  return failureTypeOf(error) ?? 'Unavailable';
}

function hintOf(want: ServerWish | undefined, seenAll: boolean, error: unknown): string {
  if (!seenAll) return failureFacts(error).hint ?? 'lifeboat doctor says what each of them answers';
  if (want === 'standby') return 'set backup.from: prefer-standby or primary, or add the standby to connection.host';
  return 'add the primary to connection.host, or set backup.from: prefer-standby';
}

/** "db1:5432 is a standby on timeline 3", "db2:5432: connection refused". */
export function describeServer(server: SeenServer | UnseenServer): string {
  if ('role' in server) return `${server.place} is a ${server.role} on timeline ${server.timeline}`;
  const { place, error } = server;
  const { hint } = failureFacts(error);
  return `${place}: ${(findFailure(error)?.message ?? String(error)).replace(` (hint: ${hint})`, '')}`;
}
