import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import type { BackupOptions } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import type { EngineJob, EngineReport } from './engine-job.ts';
import { chainTo, fetch, restore } from './engine-recovery.ts';
import { ship } from './engine-ship.ts';
import { simulate } from './engine-simulated.ts';
import type { Facts, JobOf, Tools } from './engine-tools.ts';
import { cpuMsSince, DEFAULTS, readBytes, withTools } from './engine-tools.ts';

/** One piece of work by the engine, as a worker would do it, in a process that does nothing else. */
async function main(): Promise<void> {
  const job = JSON.parse(process.argv[2] ?? '') as EngineJob;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const { facts, wallMs } = await withTools(job, async (tools) => {
    await warmUp(tools.vault);
    delay.enable();
    const startedMs = performance.now();
    const before = process.cpuUsage();
    const beforeBytes = await readBytes();
    const done = await work(job, tools);
    delay.disable();
    const all: Facts = { cpuMs: cpuMsSince(before), readBytes: (await readBytes()) - beforeBytes, ...done };
    return { facts: all, wallMs: performance.now() - startedMs };
  });
  const report: EngineReport = {
    wallMs: facts['wallMs'] ?? wallMs,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    loopDelayP99Ms: delay.percentile(99) / 1e6,
    loopDelayMaxMs: delay.max / 1e6,
    facts,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** A worker that ships WAL has its threads and its keys long before a backup begins. */
async function warmUp(vault: Vault): Promise<void> {
  const names = Array.from({ length: availableParallelism() }, (_, index) => `warm-${index}`);
  await Promise.all(names.map((name) => vault.putReport(name, Buffer.alloc(1 << 20))));
}

function work(job: EngineJob, tools: Tools): Promise<Facts> {
  if (job.kind === 'backup') return backup(job, tools);
  if (job.kind === 'ship') return ship(job, tools);
  if (job.kind === 'verify') return verify(tools);
  if (job.kind === 'fetch') return fetch(job, tools);
  if (job.kind === 'simulate') return simulate(job, tools);
  return restore(job, tools);
}

async function backup(job: JobOf<'backup'>, { vault, postgres, run }: Tools): Promise<Facts> {
  await using draft = await vault.begin(job.point);
  const since = job.since === undefined ? {} : { since: await sinceOf(vault, job.since) };
  const options = { checkpoint: 'fast' as const, label: 'bench', ...since };
  const facts = await takeBackup(postgres, { out: draft, backup: options, run });
  if (facts.fallback !== undefined) throw new Error(`a full backup where less was wanted: ${facts.fallback}`);
  await draft.finish(facts);
  const { bytes, storedBytes } = await vault.publish(job.point);
  return { bytes, storedBytes };
}

/** As the product does: only on what is stored in its full length. */
async function sinceOf(vault: Vault, point: string): Promise<NonNullable<BackupOptions['since']>> {
  for (const link of chainTo(point, (await vault.points()).points)) await vault.checkStored(link.point);
  return { kind: 'incremental', parent: await vault.open(point) };
}

/** Every part of every point, and all WAL, as many objects at once as a backup has. */
async function verify({ vault, wal }: Tools): Promise<Facts> {
  const { points, damaged } = await vault.points();
  if (damaged.length > 0) throw new Error(`damaged: ${JSON.stringify(damaged)}`);
  let storedBytes = 0;
  for (const { point } of points) storedBytes += (await vault.verify(point, () => {})).storedBytes;
  const systems = new Set(points.map(({ systemId }) => systemId));
  let walBytes = 0;
  for (const systemId of systems) {
    const objects = (await wal.list({ systemId })).values();
    const reader = async (): Promise<void> => {
      for (const object of objects) walBytes += (await wal.read(object)).length;
    };
    await Promise.all(Array.from({ length: DEFAULTS.backup.parallel }, reader));
  }
  return { points: points.length, storedBytes, walBytes };
}

await main();
