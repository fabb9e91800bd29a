import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { failure, isFailure } from '../../../workflows/model/failure.ts';
import { ensureTools } from '../setup/index.ts';
import { inheritedEnvironment } from '../setup/program.ts';
import type { LocalStack } from './compose-file.ts';
import { localStack } from './compose-file.ts';
import { freePort } from '../../../activities/io/free-port.ts';
import { checkPorts } from './ports.ts';
import type { PostgresServer } from './postgres.ts';
import { startPostgres } from './postgres.ts';
import type { ProcessRequest, StackProcess } from './process.ts';
import { startProcess } from './process.ts';
import type { Reaper } from './reaper.ts';
import { startReaper } from './reaper.ts';
import type { TemporalServer } from './temporal.ts';
import { checkReachable, serverUser } from './server-user.ts';
import { startTemporal } from './temporal.ts';

export type { Exit, StackProcess } from './process.ts';
export type { PostgresServer } from './postgres.ts';
export type { TemporalServer } from './temporal.ts';

/**
 * A running local stack. Disposing ends every process, the last started first, and removes `dir`. The same happens
 * when this process dies in any way.
 */
export interface Stack extends AsyncDisposable {
  /** Everything below it: data, logs/. */
  readonly dir: string;
  readonly temporal: TemporalServer;
  readonly postgres?: PostgresServer;
  /** Starts another process of the stack (a worker, a load), in `dir`, with this process's environment and `env`. */
  spawn(
    name: string,
    command: string,
    args: readonly string[],
    options?: { env?: Record<string, string> },
  ): StackProcess;
  /** Resolves with the first of the two servers that ends, by itself or not. */
  readonly ended: Promise<{ name: string; logFile: string }>;
  /** Leaves everything running when this process ends; disposing afterwards does nothing. */
  leave(): Promise<void>;
}

export interface StackOptions {
  /** Absent: a new folder for temporary files. */
  dir?: string;
  /** Do not remove `dir`; what is in it is used again. Default false. */
  keepDir?: boolean;
  /** Those of temporal-dev.yml, or any that are free. */
  ports: 'fixed' | 'free';
  temporal?: {
    /** KEY=VALUE with JSON values. */
    dynamicConfig?: string[];
    /** SQLite file, below `dir` when relative; absent: in memory. */
    dbFile?: string;
    /** Register those of temporal-dev.yml; default true. */
    searchAttributes?: boolean;
  };
  /** Default true. */
  postgres?: boolean;
  log(line: string): void;
  signal?: AbortSignal;
}

/** A free port may be somebody else's by the time that it is used. */
const ATTEMPTS = 3;

/** Precondition when a fixed port is taken; Unavailable with the end of its log when a server does not come up. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { signal = new AbortController().signal } = options;
  const names = ['temporal', ...(options.postgres === false ? [] : (['postgresEmbedded'] as const))] as const;
  const tools: StackTools = await ensureTools(names, { log: options.log, signal });
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options, { tools, signal });
    } catch (error) {
      if (options.ports === 'fixed' || attempt === ATTEMPTS || !isFailure(error, 'Unavailable')) throw error;
      options.log(`trying again on other ports: ${String(error)}`);
    }
  }
}

interface StackTools {
  temporal: string;
  postgresEmbedded?: string;
}

async function startOnce(options: StackOptions, own: { tools: StackTools; signal: AbortSignal }): Promise<Stack> {
  const plan = localStack();
  const ports = await choosePorts(options, plan);
  const dir = resolve(options.dir ?? join(tmpdir(), `lifeboat-${randomBytes(6).toString('hex')}`));
  const { keepDir = false } = options;
  if (!keepDir) refuseExisting(dir);
  if (options.postgres !== false) await checkReachable(dir, serverUser());
  const reaper = startReaper();
  try {
    if (!keepDir) reaper.removeAtEnd(dir);
    await mkdir(join(dir, 'logs'), { recursive: true });
    const ended = Promise.withResolvers<StackProcess>();
    const start = (request: ProcessRequest): StackProcess => {
      const started = startProcess(request, reaper);
      void started.exited.then(() => ended.resolve(started));
      return started;
    };
    const servers = await startServers(options, { ...own, plan, ports, dir, start });
    return assemble({ dir, ended: ended.promise, ...servers }, reaper);
  } catch (error) {
    await reaper.finish();
    throw error;
  }
}

interface Surroundings {
  tools: StackTools;
  signal: AbortSignal;
  plan: LocalStack;
  ports: Ports;
  dir: string;
  start(request: ProcessRequest): StackProcess;
}

type Servers = Pick<Stack, 'temporal' | 'postgres'>;

/** Both at once; when one fails the other is waited for, so that it does not go on making what is being removed. */
async function startServers({ keepDir = false, temporal = {} }: StackOptions, at: Surroundings): Promise<Servers> {
  const { tools, plan, ports, dir } = at;
  const failed = new AbortController();
  const signal = AbortSignal.any([at.signal, failed.signal]);
  const base = { dir, signal, start: at.start };
  const { dynamicConfig = [], dbFile, searchAttributes = true } = temporal;
  const starting = [
    startTemporal({
      ...{ ...base, program: tools.temporal, plan: plan.temporal, dynamicConfig, searchAttributes },
      ports: { grpc: ports.temporal, ui: ports.ui },
      dbFile: dbFile === undefined ? undefined : resolve(dir, dbFile),
      stopSignal: keepDir ? 'TERM' : 'KILL',
    }),
    tools.postgresEmbedded === undefined
      ? Promise.resolve(undefined)
      : startPostgres({
          ...{ ...base, binaries: tools.postgresEmbedded, plan: plan.postgres, port: ports.postgres },
          stopSignal: keepDir ? 'INT' : 'QUIT',
        }),
  ] as const;
  try {
    const [temporalServer, postgres] = await Promise.all(starting);
    return { temporal: temporalServer, ...(postgres ? { postgres } : {}) };
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(starting);
    throw error;
  }
}

interface Ports {
  temporal: number;
  ui: number;
  postgres: number;
}

async function choosePorts({ ports, postgres }: StackOptions, plan: LocalStack): Promise<Ports> {
  if (ports === 'free') return { temporal: await freePort(), ui: await freePort(), postgres: await freePort() };
  const { port: temporal, uiPort: ui } = plan.temporal;
  await checkPorts({
    Temporal: temporal,
    'the Temporal UI': ui,
    ...(postgres === false ? {} : { PostgreSQL: plan.postgres.port }),
  });
  return { temporal, ui, postgres: plan.postgres.port };
}

/** What was there before is not ours to remove at the end. */
function refuseExisting(dir: string): void {
  if (!existsSync(dir)) return;
  throw failure('Precondition', `${dir} exists`, {
    place: dir,
    expected: 'a new folder, which is removed at the end',
    found: 'a file or a folder',
    hint: 'choose another folder, or keep this one',
  });
}

function assemble(parts: Servers & Pick<Stack, 'dir' | 'ended'>, reaper: Reaper): Stack {
  return {
    ...parts,
    spawn: (...[name, command, args, { env = {} } = {}]: Parameters<Stack['spawn']>) =>
      startProcess(
        {
          ...{ name, command, args, cwd: parts.dir, logFile: join(parts.dir, 'logs', `${name}.log`) },
          env: { ...inheritedEnvironment(), ...env },
        },
        reaper,
      ),
    leave: () => reaper.leave(),
    [Symbol.asyncDispose]: () => reaper.finish(),
  };
}
