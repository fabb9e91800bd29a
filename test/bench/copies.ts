import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../activities/io/free-port.ts';
import type { Cluster } from './cluster.ts';
import type { EngineSample } from './engine-job.ts';
import { runEngine } from './engine-job.ts';
import type { Figure, Sample } from './figures.ts';
import { figureOf, interleaved, ratioOf } from './figures.ts';
import { measure, withServerCpu } from './measured.ts';

/** Kept from the last run: what is restored and replayed later. */
export const LAST_POINT = 'last';

export function tarFolder(cluster: Cluster): string {
  return join(cluster.dir, 'tar');
}

export interface BackupFigures {
  samples: Record<'lifeboat' | 'serverZstd' | 'plain', Sample[]>;
  ratio: Figure;
  loopDelayP99Ms: number;
  loopDelayMaxMs: number;
  bytes: number;
  storedBytes: number;
}

/** Full backups: ours, pg_basebackup compressed by the server, and pg_basebackup as it is. */
export async function compareBackups(cluster: Cluster, runs: number): Promise<BackupFigures> {
  const ours: EngineSample[] = [];
  const samples = await interleaved(runs, {
    lifeboat: async (run) => {
      const sample = await backup(cluster, run === runs - 1 ? LAST_POINT : `run-${run}`);
      ours.push(sample);
      return sample;
    },
    serverZstd: () => baseBackup(cluster, tarFolder(cluster), ['-Ft', '--compress=server-zstd:level=3']),
    plain: async () => {
      const folder = join(cluster.dir, 'plain');
      const sample = await baseBackup(cluster, folder, ['-Fp']);
      await rm(folder, { recursive: true });
      return sample;
    },
  });
  return {
    samples,
    ratio: ratioOf(samples.lifeboat, samples.serverZstd),
    loopDelayP99Ms: figureOf(ours.map((sample) => sample.loopDelayP99Ms)).median,
    loopDelayMaxMs: figureOf(ours.map((sample) => sample.loopDelayMaxMs)).most,
    bytes: ours.at(-1)?.facts['bytes'] ?? 0,
    storedBytes: ours.at(-1)?.facts['storedBytes'] ?? 0,
  };
}

export function backup(cluster: Cluster, point: string): Promise<EngineSample> {
  const { server, dir: _dir, ...bench } = cluster;
  return withServerCpu(server, () => runEngine({ ...bench, kind: 'backup', point, read: 'stream' }));
}

/** Without WAL, as ours: that is in the vault already. */
async function baseBackup(cluster: Cluster, folder: string, args: string[]): Promise<Sample> {
  const { server } = cluster;
  await rm(folder, { recursive: true, force: true });
  const { host, port, user } = server.connection;
  const to = ['-h', host, '-p', String(port), '-U', user, '-D', folder, '-X', 'none', '--checkpoint=fast'];
  return withServerCpu(server, () => measure('"$@" 2>&1', [join(server.binaries, 'pg_basebackup'), ...to, ...args]));
}

export interface RestoreFigures {
  samples: Record<'lifeboat' | 'untar' | 'untarSynced', Sample[]>;
  /** Of fetching alone, as a sample of its own. */
  fetchMs: Figure;
  ratio: Figure;
  ratioSynced: Figure;
}

/** From nothing to a server that is open, beside decompressing and untarring pg_basebackup's result. */
export async function compareRestores(cluster: Cluster, runs: number): Promise<RestoreFigures> {
  const fetchMs: number[] = [];
  const samples = await interleaved(runs, {
    lifeboat: async () => {
      const { server: _server, dir, ...bench } = cluster;
      const job = { ...bench, kind: 'restore' as const, point: LAST_POINT };
      const sample = await runEngine({ ...job, into: join(dir, 'restored'), port: await freePort() });
      fetchMs.push(sample.facts['fetchMs'] ?? Number.NaN);
      return sample;
    },
    untar: () => untar(cluster, 'untarred', ''),
    // A restore that is lost with the power is none: ours is on the disk when it says so.
    untarSynced: () => untar(cluster, 'untarred', '; sync -f "$2"'),
  });
  return {
    samples,
    fetchMs: figureOf(fetchMs),
    ratio: ratioOf(samples.lifeboat, samples.untar),
    ratioSynced: ratioOf(samples.lifeboat, samples.untarSynced),
  };
}

async function untar(cluster: Cluster, name: string, after: string): Promise<Sample> {
  const folder = join(cluster.dir, name);
  await mkdir(folder);
  try {
    const archive = join(tarFolder(cluster), 'base.tar.zst');
    return await measure(`zstd -dcq "$1" | tar -x -C "$2"${after}`, [archive, folder]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
