import { spawn } from 'node:child_process';
import { existsSync, openSync, closeSync } from 'node:fs';
import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../workflows/model/failure.ts';
import type { Run } from '../run.ts';
import { spawnOptions } from '../run-command.ts';
import type { Host } from './host.ts';

/** Where a server of ours stands. */
export interface ServerPlace {
  /** The data directory. */
  data: string;
  /** Folder for what it says. */
  log: string;
}

/** Removes the pid file that a crash left; the server itself refuses while the number in it belongs to any process. */
export async function removeStalePid(data: string): Promise<void> {
  const path = join(data, 'postmaster.pid');
  if (existsSync(path) && (await runningServer(data)) === undefined) await rm(path, { force: true });
}

const POLL_MS = 50;
const STOP_MS = 60_000;

/** Process id of the server that runs on a data directory; undefined when none does. */
export async function runningServer(path: string): Promise<number | undefined> {
  const data = await realpath(path).catch(() => path);
  const pid = Number((await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]);
  // A pid file outlives a crash, and its number may belong to another process by now.
  if (Number.isInteger(pid) && pid > 0 && (await readlink(`/proc/${pid}/cwd`).catch(() => '')) === data) return pid;
  return startingServer([path, data]);
}

/**
 * Who works on a data directory, in words: a server, whoever the lock file names unless it is known to be somebody else, or what a
 * killed postmaster left behind. Undefined when nobody does. What runs in another container is not seen.
 */
export async function occupantOf(path: string): Promise<string | undefined> {
  const data = await realpath(path).catch(() => path);
  const server = await runningServer(data);
  if (server !== undefined) return `postmaster ${server}`;
  const pid = Math.abs(Number((await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0]));
  if (pid > 0 && isAlive(pid)) {
    // Of somebody else's process we may not be told where it is.
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(({ code }: NodeJS.ErrnoException) =>
      // One that has ended, and that nobody has asked for yet.
      code === 'ENOENT' ? '' : undefined,
    );
    if (cwd === undefined || cwd === data) return `process ${pid}, which postmaster.pid names`;
  }
  const left = await serverProcessIn(data);
  return left === undefined ? undefined : `server process ${left} without a postmaster`;
}

async function serverProcessIn(data: string): Promise<string | undefined> {
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const program = await readFile(`/proc/${name}/comm`, 'utf8').catch(() => '');
    if (program.trim() === 'postgres' && (await readlink(`/proc/${name}/cwd`).catch(() => '')) === data) return name;
  }
  return undefined;
}

/** One that was launched a moment ago has no pid file yet: it is known by its command line, which its children change. */
async function startingServer(paths: string[]): Promise<number | undefined> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  // All at once: while a server is down, nobody is served, and one after the other takes as long as there are processes.
  const found = await Promise.all(
    numbers.map(async (name) => {
      const [program, flag, folder] = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
      return program?.endsWith('/postgres') && flag === '-D' && paths.includes(folder ?? '') ? [Number(name)] : [];
    }),
  );
  return found.flat()[0];
}

/** Starts the server on its own: it must outlive the worker, which may be killed and come back. */
export function launchServer(place: ServerPlace, host: Host): number {
  const log = openSync(join(place.log, 'stderr'), 'a');
  try {
    const config = ['-c', `config_file=${join(place.data, 'postgresql.conf')}`, '-c', `data_directory=${place.data}`];
    const child = spawn(join(host.binaries, 'postgres'), ['-D', place.data, ...config], {
      ...spawnOptions(host.as ? { as: host.as } : {}),
      stdio: ['ignore', log, log],
    });
    child.on('error', () => undefined);
    child.unref();
    if (child.pid === undefined)
      throw failure('Unsupported', `${host.binaries}/postgres cannot be started`, { place: host.binaries });
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** Fast shutdown: sessions end, a checkpoint is written. Returns when the process is gone. */
export async function stopServer(data: string, run: Run, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
  const pid = await runningServer(data);
  if (pid === undefined) return;
  process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  const deadline = run.clock.nowMs() + STOP_MS;
  while (isAlive(pid)) {
    if (run.clock.nowMs() > deadline) {
      throw failure('Unavailable', `server on ${data} does not stop`, {
        place: data,
        found: `postmaster ${pid} still runs`,
        hint: `pg_ctl -D ${data} -m immediate stop`,
      });
    }
    await run.clock.sleep(POLL_MS);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
