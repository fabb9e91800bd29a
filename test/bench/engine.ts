import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { BackupOptions, ShipOptions, WalVault } from '../../activities/sources/source.ts';
import type { StoreUse } from '../../activities/stores/open.ts';
import { openStore } from '../../activities/stores/open.ts';
import { loadKeyRing, openVault } from '../../activities/vault/index.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { chainsOf } from '../../workflows/model/chain.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { EngineJob, EngineReport } from './engine-job.ts';
import { keyFile } from './engine-job.ts';
import { cpuOf, postmasterPid } from './measured.ts';

/** The defaults of the configuration. */
const VAULT = { compressionLevel: 3, partBytes: 16 << 20, parallel: 4, tool: 'bench' };
const SHIP: ShipOptions = {
  shipEveryMs: 5_000,
  heartbeatEveryMs: 0,
  spoolBytes: 64 << 20,
  slot: 'lifeboat_bench',
};

type JobOf<Kind extends EngineJob['kind']> = EngineJob & { kind: Kind };
type Facts = Record<string, number>;

interface Tools {
  vault: Vault;
  wal: WalVault;
  postgres: PostgresOptions;
  run: Run;
}

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

async function withTools<T>(job: EngineJob, use: (tools: Tools) => Promise<T>): Promise<T> {
  const run = plainRun();
  const keys = await loadKeyRing({
    root: keyFile(job, 'root.key'),
    recoveryPublic: keyFile(job, 'recovery.pub'),
    signing: keyFile(job, 'signing.key'),
    trusted: [],
  });
  await using store = await openStore(storeUse(job.store), run);
  await using vault = await openVault(store, { ...VAULT, source: 'bench', keys }, run);
  const postgres = postgresSchema.parse({
    connection: job.connection,
    restore: { binaries: job.binaries, runAs: job.runAs },
    ...(job.kind === 'backup' ? { files: { read: job.read } } : {}),
  });
  if (job.walStore === undefined) return await use({ vault, wal: vault.wal, postgres, run });
  await using walStore = await openStore(storeUse(job.walStore), run);
  await using walVault = await openVault(walStore, { ...VAULT, source: 'bench', keys }, run);
  return await use({ vault, wal: walVault.wal, postgres, run });
}

function storeUse(store: EngineJob['store']): StoreUse {
  return typeof store === 'string' ? { kind: 'filesystem', options: { path: store } } : store;
}

/** Of files and connections, by this process (proc(5), /proc/pid/io). */
async function readBytes(): Promise<number> {
  return Number(/^rchar: (\d+)/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1]);
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
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

function chainTo(point: string, points: PointSummary[]): PointSummary[] {
  const wanted = points.find((each) => each.point === point);
  if (!wanted) throw new Error(`no point ${point}`);
  const chain = chainsOf(points)(wanted);
  if ('broken' in chain) throw new Error(chain.broken);
  return chain.links;
}

async function restore(job: JobOf<'restore' | 'replay'>, { vault, wal, postgres, run }: Tools): Promise<Facts> {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const beforeBytes = await readBytes();
  const steps: Facts = {};
  let lastMs = startedMs;
  let lastCpu = before;
  const step = (name: string): void => {
    steps[`${name}Ms`] = performance.now() - lastMs;
    steps[`${name}CpuMs`] = cpuMsSince(lastCpu);
    lastMs = performance.now();
    lastCpu = process.cpuUsage();
  };
  const plan = await planOf(job, { vault, wal });
  const recovery = createRecovery('bench', postgres, run);
  try {
    await recovery.prepare(plan);
    await recovery.fetch(plan, await vault.open(job.point));
    step('fetch');
    steps['fetchReadBytes'] = (await readBytes()) - beforeBytes;
    await recovery.replay(plan, wal);
    step('replay');
    await recovery.open(plan, wal);
    step('open');
    // Here, because clearing away what was restored is no part of it.
    const wallMs = performance.now() - startedMs;
    const server = await cpuOf(await postmasterPid(plan.into));
    const serverCpuMs = (server.ownSeconds + server.waitedSeconds) * 1000;
    return { ...steps, wallMs, cpuMs: cpuMsSince(before), serverCpuMs, walBytes: plan.estimate.walBytes };
  } finally {
    await recovery.discard(plan);
  }
}

/** As decided by the product, but without the choice: the named point, and as far as its WAL goes. */
async function planOf(
  job: JobOf<'restore' | 'replay'>,
  { vault, wal }: Pick<Tools, 'vault' | 'wal'>,
): Promise<RecoveryPlan> {
  const { points } = await vault.points();
  const links = chainTo(job.point, points);
  const base = links.at(-1) as PointSummary;
  const { settings } = (await vault.open(job.point)).manifest;
  const end = rangesOf(await wal.list({ systemId: base.systemId })).at(-1)?.endLsn ?? base.stopLsn;
  const toLsn = job.kind === 'restore' ? base.stopLsn : end;
  const walBytes = lsnDistanceBytes(base.startLsn, toLsn);
  return {
    ...{ run: 'bench', source: 'bench', host: 'bench', base, settings },
    ...(links.length > 1 ? { chain: links.map(({ point }) => point) } : {}),
    ...{ timelineChoice: 'latest', timeline: base.timeline, action: 'promote', legs: [] },
    ...{ into: job.into, port: job.port, tablespaces: {}, decidedAt: base.stoppedAt },
    target: job.kind === 'restore' ? { kind: 'immediate' } : { kind: 'latest' },
    estimate: { fetchBytes: base.bytes, storedBytes: base.storedBytes, walBytes, seconds: 1 },
    window: { point: base.point, timeline: base.timeline, fromLsn: base.stopLsn, toLsn, from: base.stoppedAt },
  };
}

async function ship(job: JobOf<'ship'>, { wal, postgres }: Tools): Promise<Facts> {
  const stopper = new AbortController();
  const stored = new Stored(wal, () => {
    if (job.untilLsn !== undefined && compareLsn(stored.endLsn, job.untilLsn) >= 0) stopper.abort();
  });
  if (job.untilLsn === undefined) void once(process.stdin.resume(), 'end').then(() => stopper.abort());
  const log = createLogShipping('bench', postgres, plainRun({ signal: stopper.signal }));
  await log.ship(stored.wal, SHIP);
  const { bytes, wallMs } = stored;
  return { bytes, wallMs, endLsn: Number(parseLsn(stored.endLsn)) };
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
    await Promise.all(Array.from({ length: VAULT.parallel }, reader));
  }
  return { points: points.length, storedBytes, walBytes };
}

/** Counts what became durable, from the first byte on: what is stored behind a hole does not count yet. */
class Stored {
  readonly wal: WalVault;
  readonly #startedMs = performance.now();
  #parts: { start: bigint; end: bigint }[] = [];
  #start = -1n;
  #end = -1n;
  #endedMs = 0;

  constructor(inner: WalVault, onStored: () => void) {
    this.wal = {
      ...inner,
      put: async (piece, bytes) => {
        const start = parseLsn(piece.startLsn);
        if (this.#start < 0n) this.#start = this.#end = start;
        const outcome = await inner.put(piece, bytes);
        this.#parts.push({ start, end: start + BigInt(bytes.length) });
        this.#advance();
        onStored();
        return outcome;
      },
    };
  }

  get endLsn(): string {
    return formatLsn(this.#end < 0n ? 0n : this.#end);
  }

  get bytes(): number {
    return Number(this.#end - this.#start);
  }

  get wallMs(): number {
    return this.#endedMs - this.#startedMs;
  }

  #advance(): void {
    for (;;) {
      const next = this.#parts.find(({ start, end }) => start <= this.#end && end > this.#end);
      if (!next) break;
      this.#end = next.end;
      this.#endedMs = performance.now();
    }
    this.#parts = this.#parts.filter(({ end }) => end > this.#end);
  }
}

await main();
