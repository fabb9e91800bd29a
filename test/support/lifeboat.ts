import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CliWorld } from './cli-world.ts';
import { withCliWorld } from './cli-world.ts';
import type { TestPostgres } from './postgres.ts';
import { makeOwned, run, serverUser, withPostgres, withServerDir } from './postgres.ts';

/** The whole product on one machine: Temporal, a PostgreSQL server, a worker in a process of its own, the CLI. */
export interface Lifeboat extends CliWorld {
  server: TestPostgres;
  /** Folder that the server user owns: places of restores. */
  scratch: string;
  /** Folder of the store. */
  vault: string;
  /** Text of a source with this server; `more` are further lines, indented by four. */
  source(name: string, more?: readonly string[]): string;
  /** `name`: of its host; default: here. */
  startWorker(name?: string, place?: WorkerPlace): Promise<WorkerProcess>;
  /** All of them, as a host that loses its power does it. */
  stopWorkers(): Promise<void>;
}

/** Where a worker runs that does not run beside the test. */
export interface WorkerPlace {
  /** Words before the program. */
  enter: readonly string[];
  environment: Record<string, string>;
}

export interface WorkerProcess {
  pid: number;
  /** Ends it as an operator does, and waits for that. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  log(): string;
}

export const LOCAL_STORE = 'stores: { local: { kind: filesystem, path: vault } }';

/** Everything is gone afterwards: processes, slots, folders. */
export async function withLifeboat(callback: (world: Lifeboat) => Promise<void>): Promise<void> {
  const settings = { max_slot_wal_keep_size: '1GB', full_page_writes: 'on' };
  await withServerDir((scratch) =>
    withPostgres({ settings }, (server) =>
      withCliWorld(async (world) => {
        const workers: WorkerProcess[] = [];
        await makeOwned(join(scratch, 'restores'));
        await mkdir(join(world.dir, 'vault'));
        const lifeboat: Lifeboat = {
          ...world,
          ...{ server, scratch: join(scratch, 'restores'), vault: join(world.dir, 'vault') },
          source: (name, more = []) => sourceText(name, { server, scratch: join(scratch, 'restores'), more }),
          startWorker: async (name = 'here', place) => {
            const worker = await startWorker(world.dir, name, place);
            workers.push(worker);
            return worker;
          },
          stopWorkers: async () => void (await Promise.all(workers.map((worker) => worker.stop('SIGKILL')))),
        };
        await lifeboat.writeConfig(['name: test', LOCAL_STORE, 'sources:', lifeboat.source('shop')].join('\n'));
        try {
          await callback(lifeboat);
        } finally {
          await lifeboat.stopWorkers();
          await stopRestored(lifeboat);
        }
      }),
    ),
  );
}

/** Recovered servers live on without their worker. */
export async function stopRestored({ scratch, server }: Pick<Lifeboat, 'scratch' | 'server'>): Promise<void> {
  for (const name of await readdir(scratch)) {
    const data = join(scratch, name);
    if (!existsSync(join(data, 'postmaster.pid'))) continue;
    await run(join(server.binaries, 'pg_ctl'), ['-D', data, '-m', 'immediate', '-w', 'stop']).catch(() => undefined);
  }
}

function sourceText(
  name: string,
  { server, scratch, more }: { server: TestPostgres; scratch: string; more: readonly string[] },
): string {
  const runAs = process.getuid?.() === 0 ? `, runAs: ${serverUser().name}` : '';
  const { host, port, user, database } = server.connection;
  const lines = [
    'kind: postgres',
    `connection: { host: ${host}, port: ${port}, user: ${user}, database: ${database} }`,
    'store: local',
    'wal: { shipEvery: 200ms, heartbeatEvery: 500ms }',
    `restore: { binaries: ${server.binaries}, scratch: ${scratch}${runAs} }`,
    'objectives: { rto: 1h, rpo: 5m }',
  ];
  const keys = new Set(more.map((line) => line.split(':')[0]));
  const kept = lines.filter((line) => !keys.has(line.split(':')[0]));
  return [`  ${name}:`, ...[...kept, ...more].map((line) => `    ${line}`)].join('\n');
}

const HERE: WorkerPlace = { enter: [], environment: {} };

async function startWorker(
  dir: string,
  name: string,
  { enter, environment }: WorkerPlace = HERE,
): Promise<WorkerProcess> {
  const cli = fileURLToPath(new URL('../../client/cli.ts', import.meta.url));
  const args = [cli, 'worker', '--config', join(dir, 'lifeboat.yml'), '--name', name];
  const [program = process.execPath, ...words] = [...enter, process.execPath, ...args];
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (log += text.toString()));
  await new Promise<void>((resolve, reject) => {
    const look = (): void => (log.includes('worker ready') ? resolve() : undefined);
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('close', (code) => reject(new Error(`the worker ended with ${code}: ${log}`)));
  });
  return { pid: child.pid ?? 0, log: () => log, stop: (signal = 'SIGTERM') => stopChild(child, signal) };
}

async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
  return child.exitCode;
}
