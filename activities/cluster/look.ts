import { statfs } from 'node:fs/promises';
import type { NodeState, Reach, SlotFacts } from '../../workflows/model/cluster.ts';
import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import type { ServerRole } from '../../workflows/model/server-role.ts';
import { isoTime } from '../io/clock.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query, withConnection } from '../io/postgres/connection.ts';
import { connectReplication, identifySystem } from '../io/postgres/replication.ts';
import { runningServer } from '../io/postgres/server.ts';
import { readControl } from './control.ts';
import { epochAt } from './epoch.ts';
import { hasStandbySignal } from './files.ts';
import { heartbeatIn } from './heartbeat.ts';
import type { NodeUse } from './node.ts';
import { connectionOf, timelineNow } from './node.ts';
import type { TailPlace } from './tail.ts';
import { tailOf } from './tail.ts';

export interface LookWish {
  /** As the other nodes see it: no look at its files and processes. */
  remote?: boolean;
  /** Nodes at which a login as a standby is tried. */
  peers?: readonly string[];
  /** Of a server that is down: also what it wrote behind this position. */
  tail?: TailPlace;
}

/** A probe that waits longer than this says that the server does not answer. */
const PROBE_MS = 3_000;

/** A server as it is now, asked of itself, and where it is silent of its files. Nothing is changed. */
export async function lookAt(use: NodeUse, wish: LookWish): Promise<NodeState> {
  const seen = { node: use.name, seenAt: isoTime(use.run.clock.nowMs()), by: use.host };
  const told = await ask(use, wish.remote === true);
  if (wish.remote) return { ...seen, epoch: 0, ...told };
  const running = (await runningServer(use.node.dataDir)) !== undefined;
  const freeBytes = await unlessLost(use, freeBytesAt);
  const own = {
    running,
    standbySignal: await hasStandbySignal(use),
    ...(freeBytes === undefined ? {} : { freeBytes }),
  };
  const epoch = Math.max(await epochAt(use), told.epoch ?? 0);
  const reaches = await Promise.all((wish.peers ?? []).map((peer) => reach(use, peer)));
  const control = running || told.answers ? undefined : await unlessLost(use, readControl);
  const tail = control && wish.tail ? await unlessLost(use, (node) => tailOf(node, wish.tail as TailPlace)) : undefined;
  return {
    ...seen,
    ...told,
    ...own,
    ...(control ? { control } : {}),
    ...(tail ? { tail } : {}),
    epoch,
    ...(reaches.length > 0 ? { reaches } : {}),
  };
}

/** Undefined where its disk is gone, too: that no server runs is known all the same. */
async function unlessLost<T>(use: NodeUse, read: (use: NodeUse) => Promise<T>): Promise<T | undefined> {
  try {
    return await read(use);
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return undefined;
  }
}

async function freeBytesAt({ node }: NodeUse): Promise<number> {
  const { bavail, bsize } = await translateFileError(node.dataDir, () => statfs(node.dataDir));
  return bavail * bsize;
}

type Told = Pick<NodeState, 'answers' | 'trouble'> & Partial<NodeState>;

async function ask(use: NodeUse, remote: boolean): Promise<Told> {
  const mode = { statementTimeoutMs: PROBE_MS, signal: use.run.signal };
  try {
    const told = await withConnection(connectionOf(use, remote), mode, (sql) => askSession(use, sql));
    if (told.role !== 'standby' || told.receiver) return told;
    return { ...told, timeline: Math.max(told.timeline ?? 0, await timelineNow(use, remote)) };
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return { answers: false, trouble: troubleOf(error) };
  }
}

function troubleOf(error: unknown): NonNullable<NodeState['trouble']> {
  const { found = '' } = failureFacts(error);
  const type = failureTypeOf(error);
  const kind = found === 'silence' ? 'silent' : found === 'ECONNREFUSED' || found === 'ENOENT' ? 'refused' : undefined;
  return {
    kind: kind ?? (type === 'Denied' || type === 'Busy' ? 'denied' : 'other'),
    found: findFailure(error)?.message ?? String(error),
  };
}

const SETTINGS = [
  ...['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions'],
  ...['max_locks_per_transaction', 'wal_log_hints', 'data_checksums', 'full_page_writes'],
  ...['synchronous_standby_names', 'default_transaction_read_only', 'recovery_min_apply_delay'],
];

/** The timeline of the control file is stale after a promotion until the next checkpoint. */
const STATE = `
  select r as standby, s.system_identifier::text as system, current_setting('server_version_num')::int as version,
         case when r then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
              else pg_current_wal_flush_lsn() end::text as lsn,
         case when r then pg_last_wal_replay_lsn() end::text as replayed,
         case when r then greatest(c.timeline_id, e.min_recovery_end_timeline, w.received_tli)
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
         coalesce(case when r then pg_get_wal_replay_pause_state() end, 'not paused') <> 'not paused' as paused,
         w.status, w.received_tli as received, w.slot_name as slot,
         (extract(epoch from clock_timestamp() - w.last_msg_receipt_time) * 1000)::float8 as heard,
         (extract(epoch from w.last_msg_receipt_time - w.last_msg_send_time) * 1000)::float8 as skew
    from pg_is_in_recovery() r, pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() e
    left join pg_stat_wal_receiver w on true`;

interface StateRow extends Record<string, unknown> {
  standby: boolean;
  system: string;
  version: number;
  lsn: string | null;
  replayed: string | null;
  timeline: number;
  paused: boolean;
  status: string | null;
  received: number | null;
  slot: string | null;
  heard: number | null;
  skew: number | null;
}

async function askSession(use: NodeUse, sql: SqlClient): Promise<Told> {
  const [row] = await query<StateRow>(sql, STATE);
  if (!row) return { answers: false, trouble: { kind: 'other', found: 'no answer to who it is' } };
  const role: ServerRole = row.standby ? 'standby' : 'primary';
  const settings = await settingsOf(sql);
  const heartbeat = await heartbeatIn(sql, use.service);
  return {
    ...{ answers: true, role, systemId: row.system, version: row.version, timeline: row.timeline, settings },
    lsn: row.lsn ?? '0/0',
    ...(row.replayed === null ? {} : { replayedLsn: row.replayed }),
    ...(row.standby
      ? { held: row.paused || Number(settings['recovery_min_apply_delay']) > 0, ...receiverOf(row) }
      : { senders: await sendersOf(sql), busyWith: await businessOf(use, sql) }),
    ...(heartbeat ? { heartbeat } : {}),
    slots: await slotsOf(sql),
    epoch: await markedEpoch(sql, use.service),
  };
}

function receiverOf({ status, received, slot, heard, skew }: StateRow): Pick<NodeState, 'receiver'> {
  if (status === null) return {};
  const receiver = {
    ...{ status, timeline: received ?? 0 },
    ...(slot === null || slot === '' ? {} : { slot }),
    ...(heard === null ? {} : { heardMsAgo: Math.max(0, Math.round(heard)) }),
    ...(skew === null ? {} : { skewMs: Math.round(skew) }),
  };
  return { receiver };
}

async function settingsOf(sql: SqlClient): Promise<Record<string, string>> {
  const text = 'select name, setting from pg_settings where name = any($1)';
  const rows = await query<{ name: string; setting: string }>(sql, text, [SETTINGS]);
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
}

function sendersOf(sql: SqlClient): Promise<NonNullable<NodeState['senders']>> {
  return query(
    sql,
    `select application_name as name, coalesce(host(client_addr), 'socket') as address, state
       from pg_stat_replication where application_name not in ('pg_basebackup', 'lifeboat') order by 1, 2`,
  );
}

function slotsOf(sql: SqlClient): Promise<SlotFacts[]> {
  return query<SlotFacts & Record<string, unknown>>(
    sql,
    `select slot_name as name, slot_type = 'physical' as physical, active, coalesce(wal_status, '') as status
       from pg_replication_slots where not temporary order by 1`,
  );
}

/** What a shutdown would break, or would wait for. */
async function businessOf({ cluster }: NodeUse, sql: SqlClient): Promise<string[]> {
  const [row] = await query<{ prepared: number; backups: number; old: number }>(
    sql,
    `select (select count(*) from pg_prepared_xacts)::int as prepared,
            (select count(*) from pg_stat_progress_basebackup)::int as backups,
            (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
               and xact_start < clock_timestamp() - $1 * interval '1 millisecond')::int as old`,
    [cluster.limits.transaction],
  );
  const { prepared = 0, backups = 0, old = 0 } = row ?? {};
  return [
    ...(prepared > 0 ? [`prepared transactions: ${prepared}`] : []),
    ...(backups > 0 ? [`base backups: ${backups}`] : []),
    ...(old > 0 ? [`old transactions: ${old}`] : []),
  ];
}

/** Of the table of marks, which every node of the cluster has by replication. */
async function markedEpoch(sql: SqlClient, service: string): Promise<number> {
  const [there] = await query<{ there: boolean }>(sql, `select to_regclass('lifeboat.marker') is not null as there`);
  if (!there?.there) return 0;
  const text = 'select epoch::float8 as epoch from lifeboat.marker where service = $1';
  const [row] = await query<{ epoch: number }>(sql, text, [service]);
  return row?.epoch ?? 0;
}

/** As a standby here would log in there. */
async function reach(use: NodeUse, peer: string): Promise<Reach> {
  const { cluster, run } = use;
  const node = cluster.nodes[peer];
  if (!node) return { node: peer, ok: false, found: 'no such node' };
  const { user, password } = cluster.replication;
  const { password: _own, ...connection } = connectionOf({ node, cluster }, true);
  try {
    await using walsender = await connectReplication({ ...connection, user, ...(password ? { password } : {}) }, run);
    return { node: peer, ok: true, found: (await identifySystem(walsender)).systemId };
  } catch (error) {
    run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return { node: peer, ok: false, found: findFailure(error)?.message ?? String(error) };
  }
}
