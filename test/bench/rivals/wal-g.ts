import { access, constants, open, readdir, realpath, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { findOnPath } from '../../../workers/dev/setup/program.ts';
import { makeOwned, run } from '../../support/postgres.ts';
import type { Finished } from '../measured.ts';
import { startArchiving } from './archiving.ts';
import type { Absent, Contestant, WalSpan, Work } from './contestant.ts';
import { unable } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { asServerUser, measureBackup, measureTool } from './grounds.ts';
import { sumOf } from './pgbackrest.ts';
import type { Spot } from './place.ts';
import { pushSegments } from './push.ts';
import { recover } from './recovered.ts';

const NAME = 'WAL-G';
const ZSTD_MAGIC = '28b52ffd';
const MOST_DELTAS = 1000;

/** As its manual recommends for speed; what is not said is at its default. */
function settings({ cluster, socketDir }: Grounds, spot: Spot): Record<string, string> {
  return {
    ...storage(spot),
    PGDATA: cluster.server.dataDir,
    PGHOST: socketDir,
    PGPORT: String(cluster.server.port),
    PGUSER: 'postgres',
    PGDATABASE: 'postgres',
    WALG_COMPRESSION_METHOD: 'zstd',
    WALG_ZSTD_LEVEL: 'default',
    WALG_LIBSODIUM_KEY: randomBytes(32).toString('hex'),
    WALG_LIBSODIUM_KEY_TRANSFORM: 'hex',
    WALG_UPLOAD_DISK_CONCURRENCY: String(availableParallelism()),
    WALG_UPLOAD_CONCURRENCY: '16',
    WALG_DOWNLOAD_CONCURRENCY: '10',
    WALG_DELTA_MAX_STEPS: String(MOST_DELTAS),
    WALG_DELTA_ORIGIN: 'LATEST',
  };
}

function storage({ folder, s3 }: Spot): Record<string, string> {
  if (!s3) return { WALG_FILE_PREFIX: folder };
  return {
    WALG_S3_PREFIX: `s3://${s3.bucket}/walg`,
    AWS_ENDPOINT: `https://${s3.host}:${s3.port}`,
    AWS_REGION: s3.region,
    AWS_S3_FORCE_PATH_STYLE: 'true',
    AWS_ACCESS_KEY_ID: s3.accessKey,
    AWS_SECRET_ACCESS_KEY: s3.secretKey,
    WALG_S3_CA_CERT_FILE: s3.caFile,
  };
}

export async function openWalG(grounds: Grounds): Promise<Contestant | Absent> {
  const named = process.env['WALG'];
  const program = named ?? (await findOnPath('wal-g'));
  const usable =
    program &&
    (await access(program, constants.X_OK).then(
      () => true,
      () => false,
    ));
  if (!program || !usable) {
    const looked = named ? `WALG is ${named}, which is no program` : 'no wal-g on PATH, and WALG is not set';
    return { name: NAME, reason: `${looked}; docs/benchmarks-rivals.md says how to build it` };
  }
  const spot = await grounds.place.spot('walg');
  const tool = await WalG.create(grounds, spot, await realpath(program));
  return tool.contestant();
}

class WalG {
  readonly #grounds: Grounds;
  readonly #spot: Spot;
  readonly #program: string;
  readonly #settings: Record<string, string>;
  #proven = false;

  private constructor(grounds: Grounds, spot: Spot, program: string) {
    this.#grounds = grounds;
    this.#spot = spot;
    this.#program = program;
    this.#settings = settings(grounds, spot);
  }

  static async create(grounds: Grounds, spot: Spot, program: string): Promise<WalG> {
    const tool = new WalG(grounds, spot, program);
    await makeOwned(join(grounds.dir, 'walg'));
    await writeFile(tool.#config, JSON.stringify(tool.#settings));
    return tool;
  }

  async contestant(): Promise<Contestant> {
    const version = (await run(this.#program, ['--version'])).split(/\s+/).slice(0, 3).join(' ');
    const shown = Object.entries(this.#settings).filter(
      ([name]) => name.startsWith('WALG_') && !/KEY$|PREFIX|FILE/.test(name),
    );
    return {
      name: NAME,
      program: version,
      settings: [
        '`wal-g backup-push [--full]`, `backup-fetch LATEST --reverse-unpack --skip-redundant-tars`, `wal-push`, `wal-fetch`',
        shown.map(([name, value]) => `${name}=${value}`).join(', '),
      ],
      ours: false,
      full: () => this.#backup('--full'),
      incremental: () => this.#backup(),
      restore: async (into) => {
        const files = await this.#fetch(into);
        return { files, opened: sumOf(files, await this.#open(into, 'immediate')) };
      },
      delta: unable('it has no restore in place'),
      replay: async (into) => {
        await this.#fetch(into);
        return this.#open(into, 'latest');
      },
      ship: () => startArchiving(this.#grounds, `${this.#args('wal-push').join(' ')} %p`, this.#program),
      simulated: unable('it reads a real server only'),
      verify: unable('it has no check of what it stored but the names of segments'),
      keepWal: (span) => this.#keepWal(span),
    };
  }

  get #config(): string {
    return join(this.#grounds.dir, 'walg', 'walg.json');
  }

  #args(...args: string[]): string[] {
    return [this.#program, '--config', this.#config, ...args];
  }

  #run(...args: string[]): Promise<Finished> {
    return measureTool(this.#grounds, this.#args(...args));
  }

  async #backup(...options: string[]): Promise<Work> {
    const data = this.#grounds.cluster.server.dataDir;
    const work = await measureBackup(this.#grounds, this.#spot, () => this.#run('backup-push', data, ...options));
    await this.#proveEncrypted();
    return work;
  }

  #fetch(into: string): Promise<Finished> {
    return this.#run('backup-fetch', into, 'LATEST', '--reverse-unpack', '--skip-redundant-tars');
  }

  #open(data: string, target: 'immediate' | 'latest'): Promise<Work> {
    const restoreCommand = `${this.#args('wal-fetch').join(' ')} %f %p`;
    return recover(this.#grounds, { data, restoreCommand, target, program: this.#program });
  }

  #keepWal(span: WalSpan): Promise<void> {
    return pushSegments(this.#grounds, span, asServerUser(this.#grounds, this.#args('wal-push')));
  }

  /** Built without libsodium it takes the key and stores everything in the clear. */
  async #proveEncrypted(): Promise<void> {
    if (this.#proven) return;
    const all = await readdir(this.#spot.folder, { recursive: true });
    const part = all.find((name) => /tar_partitions\/part_.*\.tar/.test(name));
    if (part === undefined) throw new Error(`no part of a backup below ${this.#spot.folder}`);
    await using file = await open(join(this.#spot.folder, part));
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    if (buffer.toString('hex') === ZSTD_MAGIC) throw new Error('it does not encrypt: build it with -tags libsodium');
    this.#proven = true;
  }
}
