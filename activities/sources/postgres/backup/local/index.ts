import { join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../../../../../workflows/model/lsn.ts';
import type { DamagedPage, Identity, MatchedSettings } from '../../../../../workflows/model/manifest.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query, withConnection } from '../../../../io/postgres/connection.ts';
import { orAborted } from '../../../../io/or-aborted.ts';
import { threadModule } from '../../../../io/thread.ts';
import type { BackupFacts, BackupOptions } from '../../../source.ts';
import { checkSameIdentity, readIdentity } from '../../identity.ts';
import type { OneServer } from '../../options.ts';
import { readSettings, serverTime } from '../../settings.ts';
import { readConfigFiles } from '../config-files.ts';
import type { BackupUse } from '../order.ts';
import { checkFileCount } from '../most-files.ts';
import { endOf } from '../order.ts';
import type { Unable } from '../why-full.ts';
import { readControlFile } from './control-file.ts';
import type { DataDirectory } from './data-directory.ts';
import { confirmDataDirectory } from './data-directory.ts';
import { CONTROL_FILE } from './exclusions.ts';
import { addLastFiles } from './last-files.ts';
import type { ListedTree, ListJob } from './list-files.ts';
import type { ClusterRead, SumsWish } from './read-cluster.ts';
import { readCluster } from './read-cluster.ts';
import type { FilesRead } from './read-parts.ts';
import { whileSessionLives } from './session.ts';
import { checkTablespaces } from './tablespaces.ts';
import { whyWhole } from './why-whole.ts';

const LIST_FILES = threadModule('list-files', import.meta.url).href;
/** A spread checkpoint takes up to checkpoint_timeout, which is a day at most. */
const START_MS = 25 * 3_600_000;

interface Started {
  sql: SqlClient;
  identity: Identity;
  settings: MatchedSettings;
  startedAt: string;
  startLsn: bigint;
}

interface Stopped {
  lsn: string;
  label: string;
  map: string;
}

export type LocalUse = BackupUse & {
  directory: DataDirectory;
  /** Sums of pages are kept, and compared with those of a parent; `unable` is why the server cannot tell what changed. */
  sums?: { unable: Unable; since?: NonNullable<BackupOptions['since']> };
};

/**
 * Reads the files of a running cluster on its own host, between pg_backup_start and pg_backup_stop (manual 25.3.4 "Making a
 * Base Backup Using the Low Level API"): several at a time, with page checksums, and without the server's work.
 */
export async function readBackup(options: OneServer, use: LocalUse): Promise<BackupFacts> {
  const { run } = use;
  const mode = { signal: run.signal, statementTimeoutMs: START_MS };
  // The session that started a backup is the one that can stop it; if it ends, so does the backup.
  return await withConnection(options.connection, mode, async (sql) => {
    const started = await start(sql, use);
    const base = await baseOf(use, started);
    // From here on every tablespace is either listed or made by replay.
    const directory = await confirmDataDirectory(options, sql, run);
    const { listed, ...all } = await whileSessionLives(sql, run, (run) =>
      readAll({ ...use, directory, run }, { ...started, ...base }),
    );
    const control = await readControlFile(join(directory.path, CONTROL_FILE), run);
    const stopped = await stop(sql);
    const named = await checkTablespaces(directory.path, stopped.map, listed);
    const read = { ...all, trees: all.trees.filter(({ id }) => id === 'base' || named.has(id)) };
    checkSameIdentity(started.identity, await readIdentity(sql));
    const positions = positionsOf(stopped);
    const { identity, settings, startedAt } = started;
    const configFiles = await readConfigFiles(sql, run.log);
    const written = await addLastFiles(use, { read, control, identity, ...stopped, ...positions, configFiles });
    const damaged = damageOf(read, positions.stopLsn);
    return {
      ...{ identity, ...positions, startedAt, ...(await endOf(options, run)), consistency: 'consistent-after-wal' },
      ...{ pageChecksums: settings['data_checksums'] === 'on', settings, ...written },
      ...(damaged.length > 0 ? { damaged } : {}),
      ...(read.blockSums ? { blockSums: read.blockSums } : {}),
      ...base.facts,
    };
  });
}

async function start(sql: SqlClient, { backup, run }: LocalUse): Promise<Started> {
  // Nothing is asked of it while the files are read.
  await query(sql, 'set idle_session_timeout = 0');
  const identity = await readIdentity(sql);
  const settings = await readSettings(sql);
  const startedAt = await serverTime(sql);
  run.progress({ phase: 'checkpoint', note: `waiting for a ${backup.checkpoint} checkpoint` });
  const [row] = await query<{ lsn: string }>(sql, 'select pg_backup_start($1, $2)::text as lsn', [
    backup.label,
    backup.checkpoint === 'fast',
  ]);
  return { sql, identity, settings, startedAt, startLsn: parseLsn(row?.lsn ?? '') };
}

interface Base {
  /** What the files are compared with; absent when no sums are wanted. */
  wish?: SumsWish;
  facts: Pick<BackupFacts, 'kind' | 'parent' | 'fallback'>;
}

/** What the backup stands on, when it may: nothing is read before. */
async function baseOf({ sums, run }: LocalUse, started: Started): Promise<Base> {
  if (!sums) return { facts: {} };
  const { since, unable } = sums;
  if (!since) return { wish: {}, facts: {} };
  const { kind, parent } = since;
  const reason = await whyWhole(parent, { ...started, unable });
  if (reason === undefined) return { wish: { parent }, facts: { kind, parent: parent.manifest.point } };
  run.log.warn('no incremental backup', { reason });
  return { wish: {}, facts: { fallback: reason } };
}

async function readAll(
  { out, backup, directory, run }: LocalUse,
  { settings, startLsn, wish }: Started & Base,
): Promise<ClusterRead & { listed: ListedTree[] }> {
  const listed = await listTrees(directory, { out, run });
  const { pageBytes, pagesPerSegment } = directory;
  const read = await readCluster(
    {
      ...{ out, run, trees: listed },
      limits: { partBytes: out.partBytes, pageBytes, pagesPerSegment },
      ...(settings['data_checksums'] === 'on' ? { since: startLsn } : {}),
      ...(backup.maxRateBytes === undefined ? {} : { maxRateBytes: backup.maxRateBytes }),
    },
    wish,
  );
  return { ...read, listed };
}

async function listTrees(
  { path, tablespaces }: DataDirectory,
  { out, run }: Pick<LocalUse, 'out' | 'run'>,
): Promise<ListedTree[]> {
  const trees = [...tablespaces, { id: 'base', root: path }];
  run.progress({ phase: 'copy', note: 'listing files' });
  // A walk through a hundred thousand files would hold up everything else.
  const job: ListJob = { trees };
  const listed = await orAborted(run.signal, () => out.ask<ListedTree[]>({ module: LIST_FILES, job }));
  checkFileCount(listed.reduce((count, { files }) => count + files.length, 0));
  const strange = listed.flatMap((tree) => tree.strange);
  if (strange.length > 0) run.log.warn('neither file nor folder, so not in the backup', { paths: strange });
  return listed;
}

/** The vault, not an archiver, holds the WAL: the caller waits for it there. */
async function stop(sql: SqlClient): Promise<Stopped> {
  const [row] = await query<{ lsn: string; labelfile: string; spcmapfile: string }>(
    sql,
    'select lsn::text, labelfile, spcmapfile from pg_backup_stop(false)',
  );
  return { lsn: row?.lsn ?? '', label: row?.labelfile ?? '', map: row?.spcmapfile ?? '' };
}

interface Positions {
  startLsn: string;
  stopLsn: string;
  timeline: number;
}

function positionsOf({ lsn, label }: Stopped): Positions {
  const startLsn = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(label)?.[1];
  const timeline = /^START TIMELINE: (\d+)$/m.exec(label)?.[1];
  if (startLsn !== undefined && timeline !== undefined && lsn !== '') {
    return { startLsn, stopLsn: lsn, timeline: Number(timeline) };
  }
  throw failure('Integrity', 'base backup ended without its positions', { found: `${lsn}; ${label}` });
}

/** Replay writes a page anew whose LSN lies in the backup; one from beyond its end was never written by this cluster. */
function damageOf({ damaged, newest }: FilesRead, stopLsn: string): DamagedPage[] {
  if (newest === undefined || newest.lsn <= parseLsn(stopLsn)) return damaged;
  const { tree, path, lsn } = newest;
  return [...damaged, { tree, path, lsn: formatLsn(lsn) }];
}
