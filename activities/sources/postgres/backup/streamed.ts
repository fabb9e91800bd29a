import { failure } from '../../../../workflows/model/failure.ts';
import type { Identity, MatchedSettings } from '../../../../workflows/model/manifest.ts';
import type { BaseBackupEnd } from '../../../io/postgres/base-backup.ts';
import { baseBackup } from '../../../io/postgres/base-backup.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../io/postgres/connection.ts';
import type { ReplicationConnection } from '../../../io/postgres/replication.ts';
import { connectReplication, identifySystem } from '../../../io/postgres/replication.ts';
import type { Run } from '../../../io/run.ts';
import type { BackupFacts } from '../../source.ts';
import { checkSameIdentity, identityThrough } from '../identity.ts';
import type { OneServer } from '../options.ts';
import { readSettings, serverTime } from '../settings.ts';
import type { ConfigFile } from './config-files.ts';
import { addConfigFiles, readConfigFiles } from './config-files.ts';
import type { BackupUse } from './order.ts';
import { endOf } from './order.ts';
import { Packer } from './packer.ts';
import { Receiver } from './receiver.ts';

const SILENCE_MS = 60_000;
/** Beyond a checkpoint: the server walks all files to estimate their size. */
const START_MS = 600_000;

/** What is asked in SQL before the first byte. */
export interface Before {
  identity: Identity;
  settings: MatchedSettings;
  configFiles: ConfigFile[];
  startedAt: string;
  checkpointMs: number;
}

/** The server refused before it sent anything; nothing was written to the sink. */
export class NotBegun extends Error {}

/**
 * The server's walsender reads the files, checks their pages and sends them over one connection. With `upload`, which
 * tells the server on that connection what the backup stands on, only what changed since. NotBegun when it wants none.
 */
export async function streamBackup(
  options: OneServer,
  use: BackupUse,
  upload?: (connection: ReplicationConnection, before: Before) => Promise<void>,
): Promise<BackupFacts> {
  const { run } = use;
  await using connection = await connectReplication(options.connection, run);
  const before = await withConnection(options.connection, { signal: run.signal }, (sql) => ask(connection, sql, run));
  const packer = new Packer(use.out);
  try {
    await upload?.(connection, before);
    const end = await stream(connection, { ...use, before, packer, incremental: upload !== undefined });
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
  const identity = await identityThrough(connection, sql);
  if (identity.serverVersion < SENDS_IN_PLACE_VERSION) await refuseInPlace(sql);
  return {
    identity,
    settings: await readSettings(sql),
    configFiles: await readConfigFiles(sql, run.log),
    checkpointMs: Number(row?.seconds ?? 300) * 1000,
    startedAt: await serverTime(sql),
  };
}

/** From this version on the server sends tablespaces that stand in its data directory itself. */
const SENDS_IN_PLACE_VERSION = 160_000;

/** An older one passes over them without a word: the copy would lack their tables. */
async function refuseInPlace(sql: SqlClient): Promise<void> {
  const [row] = await query<{ name: string; location: string }>(
    sql,
    `select spcname as name, pg_tablespace_location(oid) as location from pg_tablespace
      where spcname not in ('pg_default', 'pg_global') and pg_tablespace_location(oid) not like '/%'`,
  );
  if (!row) return;
  throw failure('Precondition', `tablespace ${row.name} would be left out by the base backup of this server`, {
    place: `tablespace ${row.name}`,
    expected: 'a tablespace at a place of its own, or PostgreSQL 16',
    found: `one in the data directory itself: ${row.location}`,
    hint: 'run a worker on the host of the database, which reads it itself (files.read: local), or move its tables',
  });
}

async function stream(
  connection: ReplicationConnection,
  use: BackupUse & { before: Before; packer: Packer; incremental: boolean },
): Promise<BaseBackupEnd> {
  const { backup, before, packer, incremental, run } = use;
  const receiver = new Receiver(packer, run);
  const startTimeoutMs = START_MS + (backup.checkpoint === 'spread' ? before.checkpointMs : 0);
  run.progress({ phase: 'checkpoint', note: `waiting for a ${backup.checkpoint} checkpoint` });
  const wanted = { ...backup, incremental, startTimeoutMs, silenceMs: SILENCE_MS };
  const end = await baseBackup(connection, wanted, receiver).catch((error: unknown) => {
    if (!incremental || receiver.hasBegun) throw error;
    throw new NotBegun('the server sends no incremental backup', { cause: error });
  });
  receiver.finish();
  if (end.startLsn !== '' && end.stopLsn !== '') return end;
  throw failure('Integrity', 'base backup ended without its positions', { found: JSON.stringify(end) });
}
