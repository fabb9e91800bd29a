import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { run, serverUser } from '../support/postgres.ts';
import type { Cluster } from './cluster.ts';
import { endSegment, flushLsn, WriteLoad, writeWal } from './cluster.ts';
import { LAST_POINT, tarFolder } from './copies.ts';
import { runEngine, startEngine } from './engine-job.ts';
import type { Figure } from './figures.ts';
import { figureOf } from './figures.ts';
import { measure } from './measured.ts';

const MEGABYTE = 1e6;

/** Makes the slot and ships what there is, so that every backup taken from now on can be made consistent. */
export async function shipAll(cluster: Cluster): Promise<void> {
  const { server, dir: _dir, ...bench } = cluster;
  await runEngine({ ...bench, kind: 'ship', untilLsn: await endSegment(server) });
}

export interface WalFigures {
  /** While the server is written to as fast as it goes, on the same processors. */
  written: Figure;
  stored: Figure;
  /** Seconds of WAL that the vault did not have yet when the writing ended. */
  lagSeconds: Figure;
  /** WAL that waits at the server, megabytes a second. */
  backlog: Figure;
  cpuSecondsPerGb: Figure;
  peakRssBytes: number;
}

export async function measureShipping(cluster: Cluster, use: { runs: number; bytes: number }): Promise<WalFigures> {
  const { server } = cluster;
  const loads: UnderLoad[] = [];
  const backlogs: Backlog[] = [];
  for (let round = 0; round < use.runs; round++) {
    await WriteLoad.prepare(server);
    loads.push(await shipUnderLoad(cluster, use.bytes));
    backlogs.push(await shipBacklog(cluster, await writeWal(server, use.bytes)));
  }
  return {
    written: figureOf(loads.map((load) => load.writtenMBs)),
    stored: figureOf(loads.map((load) => load.storedMBs)),
    lagSeconds: figureOf(loads.map((load) => load.lagSeconds)),
    backlog: figureOf(backlogs.map((backlog) => backlog.storedMBs)),
    cpuSecondsPerGb: figureOf(backlogs.map((backlog) => backlog.cpuSecondsPerGb)),
    peakRssBytes: Math.max(...[...loads, ...backlogs].map((sample) => sample.peakRssBytes)),
  };
}

interface Backlog {
  storedMBs: number;
  cpuSecondsPerGb: number;
  peakRssBytes: number;
}

export async function shipBacklog(cluster: Cluster, untilLsn: string): Promise<Backlog> {
  const { server: _server, dir: _dir, ...bench } = cluster;
  const { facts, cpuSeconds, peakRssBytes } = await runEngine({ ...bench, kind: 'ship', untilLsn });
  const bytes = facts['bytes'] ?? 0;
  const storedMBs = bytes / MEGABYTE / ((facts['wallMs'] ?? 0) / 1000);
  return { storedMBs, cpuSecondsPerGb: cpuSeconds / (bytes / 1e9), peakRssBytes };
}

interface UnderLoad {
  writtenMBs: number;
  storedMBs: number;
  lagSeconds: number;
  peakRssBytes: number;
}

async function shipUnderLoad(cluster: Cluster, bytes: number): Promise<UnderLoad> {
  const { server, dir: _dir, ...bench } = cluster;
  const from = await endSegment(server);
  const engine = startEngine({ ...bench, kind: 'ship' });
  await streaming(cluster);
  const startedMs = performance.now();
  const load = new WriteLoad(server);
  while (lsnDistanceBytes(from, await flushLsn(server)) < bytes) await new Promise((wait) => setTimeout(wait, 50));
  await load.end();
  const seconds = (performance.now() - startedMs) / 1000;
  const writtenMBs = lsnDistanceBytes(from, await flushLsn(server)) / MEGABYTE / seconds;
  const lagBytes = await lagOf(cluster);
  const report = await engine.end();
  const storedMBs = writtenMBs - lagBytes / MEGABYTE / seconds;
  return { writtenMBs, storedMBs, lagSeconds: lagBytes / MEGABYTE / writtenMBs, peakRssBytes: report.peakRssBytes };
}

/** By the server's own word: what it has not been told to be durable elsewhere. */
async function lagOf({ server }: Cluster): Promise<number> {
  const [row] = await server.sql(
    `select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)::text as bytes from pg_stat_replication`,
  );
  return Number(row?.['bytes']);
}

export async function streaming({ server }: Cluster): Promise<void> {
  for (;;) {
    const rows = await server.sql(`select 1 from pg_stat_replication where state = 'streaming'`);
    if (rows.length > 0) return;
    await new Promise((wait) => setTimeout(wait, 50));
  }
}

export interface ReplayFigures {
  walBytes: number;
  lifeboat: Figure;
  /** restore_command = cp from the server's own pg_wal. */
  cp: Figure;
  ratio: Figure;
  peakRssBytes: number;
}

/** Replay of everything since the last base, beside a server that copies the same segments from a local folder. */
export async function compareReplays(cluster: Cluster, runs: number): Promise<ReplayFigures> {
  const rates = { lifeboat: [] as number[], cp: [] as number[] };
  let walBytes = 0;
  let peakRssBytes = 0;
  for (let round = 0; round < runs; round++) {
    const { server: _server, dir, ...bench } = cluster;
    const job = { ...bench, kind: 'replay' as const, point: LAST_POINT, into: join(dir, 'replayed') };
    const ours = await runEngine({ ...job, port: await freePort() });
    walBytes = ours.facts['walBytes'] ?? 0;
    peakRssBytes = Math.max(peakRssBytes, ours.peakRssBytes);
    rates.lifeboat.push(walBytes / MEGABYTE / (((ours.facts['replayMs'] ?? 0) + (ours.facts['openMs'] ?? 0)) / 1000));
    rates.cp.push(walBytes / MEGABYTE / (await replayByCopy(cluster)));
  }
  const ratio = figureOf(rates.lifeboat.map((rate, index) => rate / (rates.cp[index] ?? Number.NaN)));
  return { walBytes, lifeboat: figureOf(rates.lifeboat), cp: figureOf(rates.cp), ratio, peakRssBytes };
}

/** Seconds from the start of the server until it is open. */
async function replayByCopy(cluster: Cluster): Promise<number> {
  const { server, dir } = cluster;
  const data = join(dir, 'copied');
  await mkdir(data, { mode: 0o700 });
  try {
    await measure(`zstd -dcq "$1" | tar -x -C "$2"; chown -R "$3" "$2"`, [
      join(tarFolder(cluster), 'base.tar.zst'),
      data,
      serverUser().name,
    ]);
    await writeFile(join(data, 'recovery.signal'), '');
    const settings = {
      port: String(await freePort()),
      restore_command: `cp ${join(server.dataDir, 'pg_wal')}/%f %p`,
      recovery_target_action: 'promote',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    await appendFile(join(data, 'postgresql.auto.conf'), lines.join(''));
    const startedMs = performance.now();
    const control = join(server.binaries, 'pg_ctl');
    await run(control, ['-D', data, '-l', join(dir, 'copied.log'), '-w', '-t', '3600', 'start']);
    await promoted(server.binaries, data);
    const seconds = (performance.now() - startedMs) / 1000;
    await run(control, ['-D', data, '-m', 'immediate', '-w', 'stop']);
    return seconds;
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}

/** A hot standby takes sessions long before its replay has ended. */
async function promoted(binaries: string, data: string): Promise<void> {
  for (;;) {
    const control = await run(join(binaries, 'pg_controldata'), ['-D', data]);
    if (/cluster state:\s+in production/.test(control)) return;
    await new Promise((wait) => setTimeout(wait, 50));
  }
}
