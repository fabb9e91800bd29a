import { failure, isFailure } from '../../../../../workflows/model/failure.ts';
import type { TimelineHistory } from '../../../../../workflows/model/wal.ts';
import { isOnHistory, leftAt, parseHistory } from '../../../../../workflows/model/timeline.ts';
import type { SeenServer } from '../../../../io/postgres/choose-server.ts';
import { chooseServer, lookAtServers } from '../../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../../io/postgres/connection.ts';
import type { ServerOptions } from '../../../../io/postgres/options.ts';
import { connectReplication, identifySystem, timelineHistory } from '../../../../io/postgres/replication.ts';
import type { Run } from '../../../../io/run.ts';
import type { UpstreamWish } from '../../../standby-wishes.ts';
import type { PostgresOptions } from '../../options.ts';

/** The server that a standby made of this point can stream from, and why it cannot; nothing is changed there. */
export async function chooseUpstream(
  options: PostgresOptions,
  wish: UpstreamWish,
  run: Run,
): Promise<{ host: string; port: number }> {
  const server = await serverFor(options, wish, run);
  refuseOtherCluster(server, wish);
  refuseOlderTimeline(server, wish);
  await withConnection(server.connection, { signal: run.signal }, async (sql) => {
    await refuseSharedTablespaces(sql, server);
    if (wish.slot !== undefined) await refuseSlot(sql, server, wish.slot);
  });
  await refuseHistory(server, wish, run);
  const { host, port } = server.connection;
  return { host, port };
}

type Server = Pick<SeenServer, 'connection' | 'place'> & Partial<SeenServer>;

async function serverFor({ connection }: PostgresOptions, { server }: UpstreamWish, run: Run): Promise<Server> {
  if (server === undefined) return chooseServer(connection, { signal: run.signal, want: 'primary' });
  const [seen] = await lookAtServers({ ...connection, host: [server] }, run);
  if (!seen || 'error' in seen) throw seen?.error as Error;
  if (seen.role === 'primary') return seen;
  throw failure('Precondition', `${seen.place} is a standby itself`, {
    place: seen.place,
    expected: 'the primary',
    found: `a standby on timeline ${seen.timeline}`,
    hint: 'name the primary with --from-server',
  });
}

function refuseOtherCluster({ place, systemId = '' }: Server, { base }: UpstreamWish): void {
  if (systemId === base.systemId) return;
  throw failure('Precondition', `${place} is another cluster than the one that was backed up`, {
    place,
    expected: `system identifier ${base.systemId}`,
    found: `system identifier ${systemId}`,
    hint: 'name its primary with --from-server; a cluster that was made anew is a source of its own',
  });
}

/** The newest timeline that is stored is where a standby goes: it cannot come back to one that was left. */
function refuseOlderTimeline({ place, timeline = 0 }: Server, wish: UpstreamWish): void {
  if (wish.timeline <= timeline) return;
  throw failure('Precondition', `the vault is on timeline ${wish.timeline}, ahead of ${place}`, {
    place,
    expected: `a primary on timeline ${wish.timeline} or later`,
    found: `timeline ${timeline}`,
    hint: `${place} was left by a failover: name the primary of now with --from-server or in connection.host`,
  });
}

/**
 * A session from the server's own host comes from the address that it goes to, by whichever interface, and one through a Unix
 * socket has no addresses (manual 9.27, inet_client_addr): both count as the same host. So does a tunnel that ends there, which
 * is refused without need; a pooler on another host hides that it is the same.
 */
const PLACES = `
  select inet_client_addr() is not distinct from inet_server_addr() as here,
         (select string_agg(spcname || ' at ' || pg_tablespace_location(oid), ', ' order by oid) from pg_tablespace
           where pg_tablespace_location(oid) not in ('', 'pg_tblspc/' || oid)) as spaces`;

/**
 * What is streamed is replayed as it was written: a tablespace would be made at the place where the primary has it, and
 * on one host two servers would write, and one drop, the same files.
 */
async function refuseSharedTablespaces(sql: SqlClient, { place }: Server): Promise<void> {
  const [row] = await query<{ here: boolean; spaces: string | null }>(sql, PLACES);
  if (!row?.here || row.spaces === null) return;
  throw failure('Precondition', `a standby on the host of ${place} would share its tablespaces`, {
    place,
    expected: 'another host, or a primary with all of it in its data directory',
    found: row.spaces,
    hint: 'restore on another host with --host, or --follow archive: what the WAL makes is then made in the copy',
  });
}

async function refuseSlot(sql: SqlClient, { place }: Server, slot: string): Promise<void> {
  const [row] = await query<{ kind: string; active: boolean }>(
    sql,
    'select slot_type as kind, active from pg_replication_slots where slot_name = $1',
    [slot],
  );
  if (row?.kind === 'physical' && !row.active) return;
  const found = row ? (row.active ? 'one that is in use' : `a ${row.kind} one`) : 'none';
  throw failure('Precondition', `slot ${slot} of ${place} cannot be used`, {
    place: `slot ${slot} of ${place}`,
    expected: 'a physical slot that nobody uses',
    found,
    hint: `on the primary: select pg_create_physical_replication_slot('${slot}', true)`,
  });
}

/** Logs in as the standby will, and asks where the primary comes from. */
async function refuseHistory({ connection, place }: Server, wish: UpstreamWish, run: Run): Promise<void> {
  const { history } = await historyFilesOf(connection, run);
  const { base, timeline } = wish;
  const isAncestor = timeline === history.timeline || leftAt(history, timeline) !== undefined;
  if (isAncestor && isOnHistory(history, base.timeline, base.stopLsn)) return;
  const path = history.ancestors.map((each) => `${each.timeline} to ${each.switchLsn}`);
  throw failure('Precondition', `${place} does not come from what was backed up`, {
    place,
    expected: `a history through timeline ${timeline}, and through ${base.stopLsn} on timeline ${base.timeline}`,
    found: [...path, history.timeline].join(', '),
    hint: 'take a backup of the primary, or choose an older one with --point',
  });
}

export interface HistoryFiles {
  history: TimelineHistory;
  /** Of its timeline and those before it; timeline 1 has none. */
  files: { timeline: number; content: Buffer }[];
}

/** How a server came to its present timeline, and the files that say so. */
export async function historyFilesOf(connection: ServerOptions, run: Run): Promise<HistoryFiles> {
  await using walsender = await connectReplication(connection, run);
  const { timeline } = await identifySystem(walsender);
  if (timeline === 1) return { history: { timeline, ancestors: [] }, files: [] };
  const content = await timelineHistory(walsender, timeline);
  const history = parseHistory(timeline, content.toString('utf8'));
  const files = [{ timeline, content }];
  for (const { timeline: ancestor } of history.ancestors) {
    if (ancestor === 1) continue;
    // One that the server has not needs nobody: the newest names all before it.
    const older = await timelineHistory(walsender, ancestor).catch(undefinedIfAbsent);
    if (older) files.push({ timeline: ancestor, content: older });
  }
  return { history, files };
}

function undefinedIfAbsent(error: unknown): undefined {
  if (!isFailure(error, 'NotFound')) throw error;
}
