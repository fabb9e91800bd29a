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

interface Use {
  backup: BackupOptions;
  run: Run;
}

/** Where the primary was, or what the standby had received when the primary could not be asked. */
interface Mark {
  lsn: Lsn;
  of: string;
}

/**
 * Waits until a standby has replayed what the primary had written when this was asked, so that a backup of it is one of now.
 * The answer is why it has not, after backup.standbyWait; undefined when it has.
 */
export async function whyNotReady(
  options: PostgresOptions,
  standby: SeenServer,
  use: Use,
): Promise<string | undefined> {
  const { backup, run } = use;
  const waitMs = backup.standbyWaitMs ?? 0;
  const primary = (await lookAtServers(options.connection, run)).find(
    (server) => 'role' in server && server.role === 'primary' && server.timeline === standby.timeline,
  );
  return withConnection(standby.connection, { signal: run.signal }, async (sql) => {
    const mark = primary ? await markOf(primary as SeenServer, use) : await receivedBy(sql, standby);
    const untilMs = run.clock.nowMs() + waitMs;
    for (;;) {
      const replayed = await replayedBy(sql);
      if (compareLsn(replayed, mark.lsn) >= 0) return undefined;
      const behind = `${standby.place} has replayed ${replayed}, ${formatBytes(lsnDistanceBytes(replayed, mark.lsn))} behind ${mark.of}`;
      if (run.clock.nowMs() >= untilMs) return `${behind}, after ${formatDuration(waitMs)}`;
      run.progress({ phase: 'waiting for the standby', note: behind });
      await run.clock.sleep(LOOK_MS, run.signal);
    }
  });
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

async function receivedBy(sql: SqlClient, { place }: SeenServer): Promise<Mark> {
  const [row] = await query<{ lsn: Lsn | null }>(sql, 'select pg_last_wal_receive_lsn()::text as lsn');
  return { lsn: row?.lsn ?? '0/0', of: `what ${place} has received` };
}

async function replayedBy(sql: SqlClient): Promise<Lsn> {
  const [row] = await query<{ lsn: Lsn | null }>(sql, 'select pg_last_wal_replay_lsn()::text as lsn');
  return row?.lsn ?? '0/0';
}
