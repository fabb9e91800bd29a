import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { failure } from '../../../workflows/model/failure.ts';
import { DEV_SOURCE, writeDevConfig } from './dev-config.ts';
import type { Stack } from './index.ts';
import { startStack } from './index.ts';
import { untilReady } from './ready.ts';
import type { StackProcess } from './process.ts';

const WORKER = ['.ts', '.js']
  .map((extension) => fileURLToPath(new URL(`../../main${extension}`, import.meta.url)))
  .find((path) => existsSync(path));

export interface DevStack extends AsyncDisposable {
  readonly dir: string;
  readonly config: string;
  readonly temporal: { address: string; ui: string };
  readonly postgres: { url: string };
  /** Name of the source in `config`. */
  readonly source: string;
  readonly logs: string;
  /** Resolves with the first process that ends by itself. */
  readonly ended: Promise<{ name: string; logFile: string }>;
}

export interface DevOptions {
  /** Kept, and used again at the next start. */
  dir: string;
  ports: 'fixed' | 'free';
  log(line: string): void;
  signal: AbortSignal;
}

/** Temporal with its UI, PostgreSQL, lifeboat.yml with keys, and a worker that takes tasks. As `startStack` otherwise. */
export async function startDevStack(options: DevOptions): Promise<DevStack> {
  const dir = resolve(options.dir);
  await refuseForeign(dir);
  const stack = await startStack({ ...options, dir, keepDir: true, temporal: { dbFile: 'temporal.db' } });
  try {
    const { temporal, postgres } = stack;
    if (!postgres) throw failure('Bug', 'the stack came without PostgreSQL');
    const config = await writeDevConfig(dir, { temporal, postgres });
    const worker = await startWorker(stack, config, options.signal);
    const { host, port, user, password, database } = postgres;
    return {
      ...{ dir, config, temporal, source: DEV_SOURCE, logs: join(dir, 'logs') },
      postgres: { url: `postgresql://${user}:${password}@${host}:${port}/${database}` },
      ended: Promise.race([stack.ended, worker.exited.then(() => worker)]),
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

/** A folder that holds something else than a local stack stays untouched. */
async function refuseForeign(dir: string): Promise<void> {
  if (!existsSync(dir) || existsSync(join(dir, 'logs'))) return;
  throw failure('Precondition', `${dir} is not a folder of lifeboat dev`, {
    place: dir,
    expected: 'a new folder, or one that lifeboat dev made',
    found: 'another folder or a file',
    hint: 'choose another one: lifeboat dev --dir DIR',
  });
}

async function startWorker(stack: Stack, config: string, signal: AbortSignal): Promise<StackProcess> {
  if (WORKER === undefined) throw failure('Bug', 'the worker is not where the local stack looks for it');
  const logFile = join(stack.dir, 'logs', 'worker.log');
  // The log goes on where the last run stopped.
  const oldBytes = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  const worker = stack.spawn('worker', process.execPath, [WORKER, config]);
  const isReady = async (): Promise<boolean> => (await readFile(logFile)).subarray(oldBytes).includes('"worker ready"');
  await untilReady(worker, isReady, signal);
  return worker;
}
