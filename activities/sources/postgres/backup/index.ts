import { failure, isRetryable } from '../../../../workflows/model/failure.ts';
import type { Identity, MatchedSettings } from '../../../../workflows/model/manifest.ts';
import type { BaseBackupEnd } from '../../../io/postgres/base-backup.ts';
import { baseBackup } from '../../../io/postgres/base-backup.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import type { ReplicationConnection } from '../../../io/postgres/replication.ts';
import { connectReplication, identifySystem } from '../../../io/postgres/replication.ts';
import type { Run } from '../../../io/run.ts';
import type { BackupFacts, BackupOptions, PartSink } from '../../source.ts';
import { checkSameIdentity, identityThrough } from '../identity.ts';
import type { PostgresOptions } from '../options.ts';
import { oldestXid, readSettings, refuseSettings, serverTime } from '../settings.ts';
import type { ConfigFile } from './config-files.ts';
import { readConfigFiles } from './config-files.ts';
import { Packer } from './packer.ts';
import { Receiver } from './receiver.ts';

/** Tree of configuration that stood outside of the data directory; its paths are relative to "/". */
export const CONFIG_TREE = 'config';

const SILENCE_MS = 60_000;
/** Beyond a checkpoint: the server walks all files to estimate their size. */
const START_MS = 600_000;
const LATER = { tries: 5, waitMs: 2_000 };

export interface BackupUse {
  out: PartSink;
  backup: BackupOptions;
  run: Run;
}

/** What is asked in SQL before the first byte. */
interface Before {
  identity: Identity;
  settings: MatchedSettings;
  configFiles: ConfigFile[];
  startedAt: string;
  checkpointMs: number;
}

/**
 * Takes a full base backup of a running cluster into `out`. It is consistent only with the WAL from start to stop.
 * Failures: those of the connection; Precondition (settings, promotion meanwhile), Integrity (damaged pages, a file that is
 * not what the server read), and whatever the sink fails with. A repeat starts over.
 */
export async function takeBackup(options: PostgresOptions, use: BackupUse): Promise<BackupFacts> {
  const { run } = use;
  await withConnection(options.connection, { signal: run.signal }, async (sql) =>
    refuseSettings(await readSettings(sql)),
  );
  await using connection = await connectReplication(options.connection, run);
  const before = await withConnection(options.connection, { signal: run.signal }, (sql) => ask(connection, sql, run));
  const packer = new Packer(use.out);
  try {
    const end = await stream(connection, { ...use, before, packer });
    checkSameIdentity(before.identity, { ...before.identity, timeline: end.timeline });
    checkSameIdentity(before.identity, await identifySystem(connection));
    addConfigFiles(packer, before.configFiles);
    const parts = await packer.finish();
    const { identity, settings, startedAt } = before;
    return {
      ...{ identity, timeline: end.timeline, startLsn: end.startLsn, stopLsn: end.stopLsn },
      ...{ startedAt, ...(await endOf(options, run)), consistency: 'consistent-after-wal' },
      ...{ pageChecksums: settings['data_checksums'] === 'on', settings, parts, trees: packer.trees },
    };
  } finally {
    // Parts in flight must not outlive the attempt that wrote them.
    await packer.settle();
  }
}

async function ask(connection: ReplicationConnection, sql: SqlClient, run: Run): Promise<Before> {
  const [row] = await query<{ seconds: string }>(
    sql,
    `select setting as seconds from pg_settings where name = 'checkpoint_timeout'`,
  );
  return {
    identity: await identityThrough(connection, sql),
    settings: await readSettings(sql),
    configFiles: await readConfigFiles(sql, run.log),
    checkpointMs: Number(row?.seconds ?? 300) * 1000,
    startedAt: await serverTime(sql),
  };
}

async function stream(
  connection: ReplicationConnection,
  use: BackupUse & { before: Before; packer: Packer },
): Promise<BaseBackupEnd> {
  const { backup, before, packer, run } = use;
  const receiver = new Receiver(packer, run);
  const startTimeoutMs = START_MS + (backup.checkpoint === 'spread' ? before.checkpointMs : 0);
  run.progress({ phase: 'checkpoint', note: `waiting for a ${backup.checkpoint} checkpoint` });
  const end = await baseBackup(connection, { ...backup, startTimeoutMs, silenceMs: SILENCE_MS }, receiver);
  receiver.finish();
  if (end.startLsn !== '' && end.stopLsn !== '') return end;
  throw failure('Integrity', 'base backup ended without its positions', { found: JSON.stringify(end) });
}

function addConfigFiles(packer: Packer, files: ConfigFile[]): void {
  if (files.length === 0) return;
  packer.startTree(CONFIG_TREE, '/');
  for (const { path, bytes, mtimeMs } of files) {
    packer.startEntry({ path: path.replace(/^\/+/, ''), type: 'file', mode: 0o600, mtimeMs });
    packer.add(bytes);
    packer.endEntry();
  }
}

/** A whole backup is not thrown away because the server had no session to spare at its end. */
async function endOf(options: PostgresOptions, run: Run): Promise<{ stoppedAt: string; oldestXid: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withConnection(options.connection, { signal: run.signal }, async (sql) => ({
        stoppedAt: await serverTime(sql),
        oldestXid: await oldestXid(sql),
      }));
    } catch (error) {
      if (attempt >= LATER.tries || !isRetryable(error)) throw error;
      await run.clock.sleep(LATER.waitMs, run.signal);
    }
  }
}
