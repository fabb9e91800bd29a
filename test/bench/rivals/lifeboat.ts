import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreUse } from '../../../activities/stores/open.ts';
import type { RecoveryPlan } from '../../../workflows/model/recovery.ts';
import { parseLsn } from '../../../workflows/model/lsn.ts';
import { freePort } from '../../../activities/io/free-port.ts';
import type { EngineJob } from '../engine-job.ts';
import { runEngine, startEngine } from '../engine-job.ts';
import { cpuOf } from '../measured.ts';
import { streaming } from '../wal.ts';
import type { Able, Contestant, Restored, Shipping, WalSpan, Work } from './contestant.ts';
import { unable } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { measureBackup } from './grounds.ts';
import type { Spot } from './place.ts';

export const AGENTLESS = 'lifeboat';
export const LOCAL = 'lifeboat, local mode';

/** What a plan says to restore in place. */
const inPlace = (into: string): Partial<RecoveryPlan> => ({ walAside: `${into}/pg_wal.before-again` });

/** Both ways to read the database; each has its own store, and the WAL of both is in that of the first. */
export async function openLifeboat(grounds: Grounds): Promise<Contestant[]> {
  const agentless = await Lifeboat.create(grounds, 'stream');
  const local = await Lifeboat.create(grounds, 'local', agentless);
  return [agentless.contestant(), local.contestant()];
}

class Lifeboat {
  readonly #grounds: Grounds;
  readonly #read: 'stream' | 'local';
  readonly #spot: Spot;
  readonly #bench: Omit<EngineJob, 'kind' | 'point'>;
  #backups = 0;

  private constructor(
    grounds: Grounds,
    read: 'stream' | 'local',
    stores: { spot: Spot; own: StoreUse; wal: StoreUse },
  ) {
    const { server: _server, dir: _dir, ...bench } = grounds.cluster;
    this.#grounds = grounds;
    this.#read = read;
    this.#spot = stores.spot;
    // All of them work on the server's host: a socket in the file system costs less than one of the network's.
    const connection = { ...bench.connection, host: grounds.socketDir };
    this.#bench = { ...bench, connection, store: stores.own, walStore: stores.wal };
  }

  static async create(grounds: Grounds, read: 'stream' | 'local', withWal?: Lifeboat): Promise<Lifeboat> {
    const spot = await grounds.place.spot(`lifeboat-${read}`);
    const own = await storeOf(grounds, spot);
    const wal = withWal ? await storeOf(grounds, withWal.#spot) : own;
    return new Lifeboat(grounds, read, { spot, own, wal });
  }

  contestant(): Contestant {
    const agentless = this.#read === 'stream';
    const same = unable(`as ${AGENTLESS}`);
    const read = agentless ? 'files.read: stream (the server sends the files)' : 'files.read: local (on the host)';
    return {
      name: agentless ? AGENTLESS : LOCAL,
      program: `this checkout, Node.js ${process.versions.node}`,
      settings: [
        `the defaults of the configuration (zstd 3, AES-256-GCM, parts of 16 MiB, 4 at once) with ${read}; connected by the server's Unix socket`,
      ],
      ours: true,
      full: () => this.#backup(),
      incremental: agentless
        ? () => this.#backup(this.#newest)
        : unable(`as ${AGENTLESS}: the server sends what changed`),
      restore: (into) => this.#restore(into),
      delta: (into, spoil) => this.#delta(into, spoil, inPlace(into)),
      replay: agentless ? (into) => this.#replay(into) : same,
      ship: agentless ? () => this.#ship() : same,
      verify: this.#verify(agentless),
      simulated: agentless ? (bytes, files) => this.#simulate(bytes, files) : same,
      keepWal: (span) => (agentless ? this.#keepWal(span) : Promise.resolve()),
    };
  }

  #verify(agentless: boolean): Able<() => Promise<Work>> {
    return agentless ? () => runEngine({ ...this.#bench, kind: 'verify' }) : unable(`as ${AGENTLESS}`);
  }

  async #simulate(bytes: number, files?: number): Promise<{ quarter: Work; all: Work }> {
    const job: EngineJob = { ...this.#bench, kind: 'simulate', bytes, ...(files === undefined ? {} : { files }) };
    const { facts, wallMs, cpuSeconds, peakRssBytes } = await runEngine(job);
    const of = (name: string): number => facts[name] ?? Number.NaN;
    return {
      quarter: { wallMs: of('quarterMs'), cpuSeconds: of('quarterCpuMs') / 1000, peakRssBytes: of('quarterRssBytes') },
      all: { wallMs, cpuSeconds, peakRssBytes, storedBytes: of('storedBytes'), readBytes: of('bytes') },
    };
  }

  get #newest(): string {
    return `run-${String(this.#backups).padStart(3, '0')}`;
  }

  #backup(since?: string): Promise<Work> {
    this.#backups += 1;
    const parent = since === undefined ? {} : { since };
    const job: EngineJob = { ...this.#bench, kind: 'backup', point: this.#newest, read: this.#read, ...parent };
    return measureBackup(this.#grounds, this.#spot, () => runEngine(job));
  }

  async #restore(into: string): Promise<Restored> {
    const job = { ...this.#bench, kind: 'restore' as const, point: this.#newest };
    const sample = await runEngine({ ...job, into, port: await freePort() });
    const {
      fetchMs = Number.NaN,
      fetchCpuMs = Number.NaN,
      fetchReadBytes = Number.NaN,
      serverCpuMs = 0,
    } = sample.facts;
    const { wallMs, cpuSeconds, peakRssBytes } = sample;
    return {
      files: { wallMs: fetchMs, cpuSeconds: fetchCpuMs / 1000, peakRssBytes, readBytes: fetchReadBytes },
      opened: { wallMs, cpuSeconds, peakRssBytes, serverCpuSeconds: serverCpuMs / 1000 },
    };
  }

  async #delta(into: string, spoil: () => Promise<void>, plan: Partial<RecoveryPlan>): Promise<Work> {
    const job = { ...this.#bench, kind: 'fetch' as const, point: this.#newest, into };
    await runEngine(job);
    await spoil();
    return runEngine({ ...job, plan: { run: 'again', ...plan } });
  }

  async #replay(into: string): Promise<Work> {
    const job = { ...this.#bench, kind: 'replay' as const, point: this.#newest };
    const { facts, peakRssBytes } = await runEngine({ ...job, into, port: await freePort() });
    const { replayMs = Number.NaN, openMs = 0, replayCpuMs = Number.NaN, openCpuMs = 0, serverCpuMs = 0 } = facts;
    return {
      wallMs: replayMs + openMs,
      cpuSeconds: (replayCpuMs + openCpuMs) / 1000,
      serverCpuSeconds: serverCpuMs / 1000,
      peakRssBytes,
    };
  }

  async #ship(): Promise<Shipping> {
    const { server } = this.#grounds.cluster;
    const engine = startEngine({ ...this.#bench, kind: 'ship' });
    await streaming(this.#grounds.cluster);
    const [row] = await server.sql('select pid from pg_stat_replication');
    const walsender = Number(row?.['pid']);
    const before = await cpuOf(walsender);
    return {
      durable: { sql: 'select flush_lsn::text as durable from pg_stat_replication', endOf: parseLsn },
      wholeSegments: false,
      end: async () => {
        const after = await cpuOf(walsender);
        const { facts, peakRssBytes } = await engine.end();
        return {
          cpuSeconds: (facts['cpuMs'] ?? Number.NaN) / 1000,
          serverCpuSeconds: after.ownSeconds - before.ownSeconds,
          peakRssBytes,
        };
      },
    };
  }

  /** The slot goes on where it was: everything up to the end of the span comes with it. */
  async #keepWal({ toLsn }: WalSpan): Promise<void> {
    await runEngine({ ...this.#bench, kind: 'ship', untilLsn: toLsn });
  }
}

async function storeOf({ dir }: Grounds, { folder, s3 }: Spot): Promise<StoreUse> {
  if (!s3) return { kind: 'filesystem', options: { path: folder } };
  const secret = async (name: string, value: string): Promise<{ file: string }> => {
    await writeFile(join(dir, name), value, { mode: 0o600 });
    return { file: join(dir, name) };
  };
  const options = {
    ...{ bucket: s3.bucket, region: s3.region, endpoint: `https://${s3.host}:${s3.port}`, pathStyle: true },
    accessKeyId: await secret('s3-access', s3.accessKey),
    secretAccessKey: await secret('s3-secret', s3.secretKey),
  };
  return { kind: 's3', options };
}
