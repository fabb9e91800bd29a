import { isFailure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../workflows/model/lsn.ts';
import { formatBytes, formatDuration } from '../../../../workflows/model/units.ts';
import type { SeenServer } from '../../../io/postgres/choose-server.ts';
import { lookAtServers } from '../../../io/postgres/choose-server.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { BackupOptions } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';

const LOOK_MS = 250;
const CHECKPOINT_MS = 600_000;
/** Longest silence of the primary after which what the standby has is still what there is; more than half of wal_receiver_timeout. */
const SILENT_MS = 60_000;

interface Use {
  backup: BackupOptions;
  run: Run;
}

/** Where the primary was, or what the standby had heard of it when it could not be asked. */
interface Mark {
  lsn: Lsn;
  of: string;
}

export interface Nearness {
  /** Why it is not ready, after backup.standbyWait; absent when it is. */
  reason?: string;
  /** No primary of its timeline answered: what is known of it is what the standby heard. */
  unseen?: true;
}

/**
 * Waits until a standby has replayed what the primary had written when this was asked, so that a backup of it is one of now.
 * Where no primary answers, the standby itself must be receiving from it: one that is cut off has replayed all it has, too.
 */
export async function nearnessOf(options: PostgresOptions, standby: SeenServer, use: Use): Promise<Nearness> {
  const { backup, run } = use;
  const waitMs = backup.standbyWaitMs ?? 0;
  const primary = (await lookAtServers(options.connection, run)).find(
    (server): server is SeenServer =>
      'role' in server && server.role === 'primary' && server.timeline === standby.timeline,
  );
  const seen = primary ? {} : { unseen: true as const };
  return withConnection(standby.connection, { signal: run.signal }, async (sql) => {
    let mark = primary ? await markOf(primary, use) : undefined;
    const untilMs = run.clock.nowMs() + waitMs;
    for (;;) {
      const found = mark ?? (await receivedBy(sql, standby));
      if (typeof found !== 'string') mark = found;
      const reason = typeof found === 'string' ? found : await whyBehind(sql, standby, found);
      if (reason === undefined) return seen;
      if (run.clock.nowMs() >= untilMs) return { ...seen, reason: `${reason}, after ${formatDuration(waitMs)}` };
      run.progress({ phase: 'waiting for the standby', note: reason });
      await run.clock.sleep(LOOK_MS, run.signal);
    }
  });
}

async function whyBehind(sql: SqlClient, { place }: SeenServer, mark: Mark): Promise<string | undefined> {
  const replayed = await replayedBy(sql);
  if (compareLsn(replayed, mark.lsn) >= 0) return undefined;
  return `${place} has replayed ${replayed}, ${formatBytes(lsnDistanceBytes(replayed, mark.lsn))} behind ${mark.of}`;
}

async function markOf(primary: SeenServer, { backup, run }: Use): Promise<Mark> {
  const mode = { signal: run.signal, statementTimeoutMs: CHECKPOINT_MS };
  return withConnection(primary.connection, mode, async (sql) => {
    const since = backup.since?.parent.manifest.stopLsn;
    if (since !== undefined) await checkpointBehind(sql, since, run);
    const [row] = await query<{ lsn: Lsn }>(sql, 'select pg_current_wal_flush_lsn()::text as lsn');
    return { lsn: row?.lsn ?? '0/0', of: `primary ${primary.place}` };
  });
}

/**
 * A backup of a standby begins at a checkpoint of the primary, and what changed can only be told when that lies behind the end
 * of the parent. An idle primary makes none by itself; without the right to, the server says why it takes no increment.
 */
async function checkpointBehind(sql: SqlClient, since: Lsn, run: Run): Promise<void> {
  const [row] = await query<{ redo: Lsn }>(sql, 'select redo_lsn::text as redo from pg_control_checkpoint()');
  if (compareLsn(row?.redo ?? '0/0', since) >= 0) return;
  run.progress({ phase: 'checkpoint', note: 'of the primary, behind the parent' });
  try {
    await query(sql, 'checkpoint');
  } catch (error) {
    if (!isFailure(error, 'Denied')) throw error;
    run.log.info('this role may not order a checkpoint: grant pg_checkpoint to it');
  }
}

/** All by the clock of that server. An idle primary is asked for a word after half of wal_receiver_timeout. */
const RECEIVED = `
  select w.status, greatest(w.latest_end_lsn, pg_last_wal_receive_lsn())::text as lsn,
         (extract(epoch from clock_timestamp() - w.last_msg_receipt_time) * 1000)::float8 as silent
    from pg_stat_wal_receiver w`;

interface Received {
  /** Null for a role that may not see it. */
  status: string | null;
  lsn: Lsn | null;
  silent: number | null;
}

/** How far the primary was when the standby last heard of it, which must be just now; else why that is not known. */
async function receivedBy(sql: SqlClient, { place }: SeenServer): Promise<Mark | string> {
  const [row] = await query<Received>(sql, RECEIVED);
  const unseen = 'and no primary of its timeline answers';
  if (!row) return `${place} has no WAL receiver, ${unseen}`;
  if (row.status === null) return `${place} does not show its WAL receiver (grant pg_read_all_stats), ${unseen}`;
  if (row.status !== 'streaming' || row.lsn === null) return `the WAL receiver of ${place} is ${row.status}, ${unseen}`;
  const silentMs = row.silent ?? Infinity;
  if (silentMs <= SILENT_MS) return { lsn: row.lsn, of: `what ${place} has heard of its primary` };
  const since = Number.isFinite(silentMs) ? `for ${formatDuration(Math.round(silentMs))}` : 'at all';
  return `${place} has heard nothing of its primary ${since}, ${unseen}`;
}

async function replayedBy(sql: SqlClient): Promise<Lsn> {
  const [row] = await query<{ lsn: Lsn | null }>(sql, 'select pg_last_wal_replay_lsn()::text as lsn');
  return row?.lsn ?? '0/0';
}
