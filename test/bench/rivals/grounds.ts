import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeOwned, serverUser } from '../../support/postgres.ts';
import type { Cluster } from '../cluster.ts';
import { withCluster } from '../cluster.ts';
import type { Finished } from '../measured.ts';
import { measure, withServerCpu } from '../measured.ts';
import type { PlaceKind } from './options.ts';
import type { Place, Spot } from './place.ts';
import { bytesIn, withPlace } from './place.ts';
import type { Work } from './contestant.ts';

/** Succeeds and does nothing: nobody archives but who is measured at it. */
export const NO_ARCHIVE = '/bin/true';

const SETTINGS = {
  // Off but where archiving is measured: pg_backup_stop would wait for it, up to a second at a time, in the tools that let it.
  archive_mode: 'off',
  archive_command: NO_ARCHIVE,
  summarize_wal: 'on',
  // For segments handed over later, out of pg_wal.
  wal_keep_size: '8GB',
};

/** The same for all: one cluster, one disk, one kind of store. */
export interface Grounds {
  cluster: Cluster;
  place: Place;
  /** Folder of the server's socket. */
  socketDir: string;
  /** Scratch, on the disk of the database and the stores; the server's user may write below it. */
  dir: string;
}

export function withGrounds<T>(kind: PlaceKind, use: (grounds: Grounds) => Promise<T>): Promise<T> {
  return withCluster(async (cluster) => {
    const { dir, server } = cluster;
    return withPlace(kind, dir, (place) => use({ cluster, place, dir, socketDir: dirname(server.dataDir) }));
  }, SETTINGS);
}

/** With a server that archives while it lasts. */
export async function withArchiving<T>({ cluster }: Grounds, work: () => Promise<T>): Promise<T> {
  const { server } = cluster;
  const restart = async (mode: 'on' | 'off'): Promise<void> => {
    await server.sql(`alter system set archive_mode = '${mode}'`);
    await server.stop();
    await server.start();
  };
  await restart('on');
  const result = await work();
  await restart('off');
  return result;
}

/** A command as the server's user, who owns the files; nothing of our environment that the tool may take for settings. */
export function asServerUser(grounds: Grounds, command: readonly string[]): string[] {
  const { uid, gid } = serverUser();
  const who = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
  return [...who, 'env', '-i', 'PATH=/usr/bin:/bin', `HOME=${grounds.dir}`, 'LC_ALL=C.UTF-8', ...command];
}

export function measureTool(grounds: Grounds, command: readonly string[]): Promise<Finished> {
  return measure('cd / && "$@" 2>&1', asServerUser(grounds, command));
}

/** What it made of the server, and what came to the store, beside what it took itself. */
export async function measureBackup(grounds: Grounds, spot: Spot, work: () => Promise<Finished>): Promise<Work> {
  const before = await bytesIn(spot.folder);
  const { wallMs, cpuSeconds, serverCpuSeconds, peakRssBytes, readBytes } = await withServerCpu(
    grounds.cluster.server,
    work,
  );
  const storedBytes = (await bytesIn(spot.folder)) - before;
  return { wallMs, cpuSeconds, serverCpuSeconds: serverCpuSeconds ?? 0, peakRssBytes, readBytes, storedBytes };
}

/** A folder that is not there yet, and not afterwards. */
export async function withFolder<T>(grounds: Grounds, use: (path: string) => Promise<T>): Promise<T> {
  const parent = join(grounds.dir, 'restored');
  await makeOwned(parent);
  try {
    return await use(join(parent, 'data'));
  } finally {
    await rm(parent, { recursive: true, force: true, maxRetries: 5 });
  }
}
