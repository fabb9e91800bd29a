import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ensureTools } from '../../../workers/dev/setup/index.ts';
import { makeOwned, run } from '../../support/postgres.ts';
import type { Finished } from '../measured.ts';
import { startArchiving } from './archiving.ts';
import type { Absent, Contestant, WalSpan, Work } from './contestant.ts';
import { unable } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { asServerUser, measureBackup, measureTool } from './grounds.ts';
import type { Spot } from './place.ts';
import { pushSegments } from './push.ts';
import { recover } from './recovered.ts';

const NAME = 'pgBackRest';
const STANZA = 'bench';

/** As its user guide and configuration reference recommend for speed. */
function settings(folder: string, { cluster, socketDir }: Grounds, spot: Spot): Record<string, Record<string, string>> {
  return {
    global: {
      ...repository(spot),
      'repo1-bundle': 'y',
      'repo1-block': 'y',
      'repo1-cipher-type': 'aes-256-cbc',
      'repo1-cipher-pass': 'of the benchmark',
      'repo1-retention-full': '1000',
      'compress-type': 'zst',
      'compress-level': '3',
      'process-max': String(availableParallelism()),
      'start-fast': 'y',
      'archive-async': 'y',
      'archive-push-queue-max': '1TiB',
      'archive-get-queue-max': '1GiB',
      'spool-path': join(folder, 'spool'),
      // Segments are handed over by the benchmark, outside of what it measures.
      'archive-check': 'n',
      'lock-path': join(folder, 'lock'),
      'log-path': join(folder, 'log'),
      'log-level-console': 'warn',
      'log-level-file': 'off',
    },
    [STANZA]: {
      'pg1-path': cluster.server.dataDir,
      'pg1-port': String(cluster.server.port),
      'pg1-socket-path': socketDir,
      'pg1-user': 'postgres',
    },
  };
}

function repository({ folder, s3 }: Spot): Record<string, string> {
  if (!s3) return { 'repo1-path': folder };
  return {
    'repo1-type': 's3',
    'repo1-path': '/repo',
    'repo1-s3-endpoint': s3.host,
    'repo1-storage-port': String(s3.port),
    'repo1-storage-ca-file': s3.caFile,
    'repo1-s3-uri-style': 'path',
    'repo1-s3-bucket': s3.bucket,
    'repo1-s3-region': s3.region,
    'repo1-s3-key': s3.accessKey,
    'repo1-s3-key-secret': s3.secretKey,
  };
}

export async function openPgBackRest(grounds: Grounds): Promise<Contestant | Absent> {
  const found = await ensureTools(['pgbackrest'], { log: (line) => console.error(line) }).catch((error: unknown) => ({
    reason: `could not be set up: ${error instanceof Error ? error.message : String(error)}`,
  }));
  if ('reason' in found) return { name: NAME, reason: found.reason };
  const spot = await grounds.place.spot('pgbackrest');
  const tool = await PgBackRest.create(grounds, spot, found.pgbackrest);
  return tool.contestant();
}

class PgBackRest {
  readonly #grounds: Grounds;
  readonly #spot: Spot;
  readonly #program: string;
  readonly #folder: string;
  readonly #lines: string[];

  private constructor(grounds: Grounds, spot: Spot, program: string) {
    this.#grounds = grounds;
    this.#spot = spot;
    this.#program = program;
    this.#folder = join(grounds.dir, 'pgbackrest');
    this.#lines = Object.entries(settings(this.#folder, grounds, spot)).flatMap(([section, values]) => [
      `[${section}]`,
      ...Object.entries(values).map(([name, value]) => `${name}=${value}`),
    ]);
  }

  static async create(grounds: Grounds, spot: Spot, program: string): Promise<PgBackRest> {
    const tool = new PgBackRest(grounds, spot, program);
    await mkdir(tool.#folder);
    for (const name of ['', 'spool', 'lock', 'log']) await makeOwned(join(tool.#folder, name));
    await writeFile(tool.#config, `${tool.#lines.join('\n')}\n`);
    await tool.#run('stanza-create');
    return tool;
  }

  async contestant(): Promise<Contestant> {
    const shown = this.#lines.filter((line) => !/path|pass|key|ca-file|=$|pg1|^\[/.test(line)).join(', ');
    return {
      name: NAME,
      program: (await run(this.#program, ['version'])).trim(),
      settings: [
        '`pgbackrest backup --type=full`, `--type=incr`, `restore`, `restore --delta`, `archive-push`, `archive-get`, `verify`',
        shown,
      ],
      ours: false,
      full: () => this.#backup('full'),
      incremental: () => this.#backup('incr'),
      restore: async (into) => {
        const files = await this.#restore(into);
        return { files, opened: sumOf(files, await this.#open(into, 'immediate')) };
      },
      delta: async (into, spoil) => {
        await this.#restore(into);
        await spoil();
        return this.#restore(into, '--delta');
      },
      replay: async (into) => {
        await this.#restore(into);
        return this.#open(into, 'latest');
      },
      ship: () => startArchiving(this.#grounds, `${this.#command('archive-push')} %p`, this.#program),
      verify: () => this.#run('verify'),
      simulated: unable('it reads a real server only'),
      keepWal: (span) => this.#keepWal(span),
    };
  }

  get #config(): string {
    return join(this.#folder, 'pgbackrest.conf');
  }

  #args(...args: string[]): string[] {
    return [this.#program, `--config=${this.#config}`, `--stanza=${STANZA}`, ...args];
  }

  #command(verb: string, ...options: string[]): string {
    return this.#args(...options, verb).join(' ');
  }

  #run(verb: string, ...options: string[]): Promise<Finished> {
    return measureTool(this.#grounds, this.#args(...options, verb));
  }

  #backup(type: 'full' | 'incr'): Promise<Work> {
    return measureBackup(this.#grounds, this.#spot, () => this.#run('backup', `--type=${type}`));
  }

  #restore(into: string, ...options: string[]): Promise<Finished> {
    return this.#run('restore', `--pg1-path=${into}`, ...options);
  }

  /** From an empty queue: what an earlier recovery fetched must not help this one. */
  async #open(data: string, target: 'immediate' | 'latest'): Promise<Work> {
    await rm(join(this.#folder, 'spool', 'archive'), { recursive: true, force: true });
    const restoreCommand = `${this.#command('archive-get', `--pg1-path=${data}`)} %f "%p"`;
    return recover(this.#grounds, { data, restoreCommand, target, program: this.#program });
  }

  #keepWal(span: WalSpan): Promise<void> {
    const push = asServerUser(this.#grounds, this.#args('--no-archive-async', 'archive-push'));
    return pushSegments(this.#grounds, span, push);
  }
}

/** One after the other. */
export function sumOf(first: Work, second: Work): Work {
  return {
    wallMs: first.wallMs + second.wallMs,
    cpuSeconds: first.cpuSeconds + second.cpuSeconds,
    serverCpuSeconds: (first.serverCpuSeconds ?? 0) + (second.serverCpuSeconds ?? 0),
    peakRssBytes: Math.max(first.peakRssBytes, second.peakRssBytes),
  };
}
