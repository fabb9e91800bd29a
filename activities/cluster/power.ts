import { spawn } from 'node:child_process';
import { chown, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import { formatDuration } from '../../workflows/model/units.ts';
import type { Program } from '../io/program.ts';
import { runProgram } from '../io/program.ts';
import { removeStalePid, runningServer } from '../io/postgres/server.ts';
import type { RunAs } from '../io/run-command.ts';
import { endGroup, exitOf, spawnOptions } from '../io/run-command.ts';
import type { NodeUse } from './node.ts';
import { binariesOf, ownerOf, withNode } from './node.ts';

const POLL_MS = 40;
/** A server that takes no sessions by then has a reason, which stands in its log. */
const UP_MS = 60_000;
/** After a shutdown that does not end by itself. */
const FORCED_MS = 10_000;

/** Starts the server unless it runs, as whatever its directory says, and returns when it takes sessions. */
export async function startNode(use: NodeUse): Promise<void> {
  const { node, run } = use;
  if ((await runningServer(node.dataDir)) === undefined) {
    await removeStalePid(node.dataDir);
    if (node.start.by === 'command') await callProgram(use, 'start', node.start.start);
    else await pgCtlStart(use);
  }
  const deadline = run.clock.nowMs() + UP_MS;
  for (;;) {
    const error = await session(use);
    if (error === undefined) return;
    if (failureTypeOf(error) === 'Denied') throw error as Error;
    if (run.clock.nowMs() > deadline) throw notUp(use, error);
    run.progress({ phase: `${use.name} starts`, note: findFailure(error)?.message ?? '' });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

async function session(use: NodeUse): Promise<unknown> {
  try {
    await withNode(use, () => Promise.resolve());
    return undefined;
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return error;
  }
}

/** In nobody's hands: it hears no client and no primary, asks no archive and fills none, and keeps all its WAL. */
const ALONE = [
  ...["listen_addresses=''", "primary_conninfo=''", "restore_command=''", 'archive_mode=off', 'hot_standby=on'],
  ...['recovery_target_timeline=current', 'wal_keep_size=1000000'],
];
const LONGEST_REPLAY_S = 86_400;

/**
 * Brings a standby that was not shut down in good order to the end of its own WAL, and shuts it down. Its signal file has to be there:
 * so it writes nothing. Throws when it does not come so far.
 */
export async function settleNode(use: NodeUse): Promise<void> {
  await removeStalePid(use.node.dataDir);
  // Sockets of its own: nobody comes by them, and one that a crash left is not in the way.
  const sockets = await mkdtemp(join(tmpdir(), 'lifeboat-'));
  const owner = await ownerOf(use);
  if (owner) await chown(sockets, owner.uid, owner.gid);
  const options = [...ALONE, `unix_socket_directories='${sockets}'`].map((each) => `-c ${each}`).join(' ');
  try {
    await pgCtlStart(use, ['-w', '-t', String(LONGEST_REPLAY_S), '-o', options]);
  } finally {
    const pid = await runningServer(use.node.dataDir);
    if (pid !== undefined) {
      process.kill(pid, 'SIGINT');
      await gone(use, UP_MS);
    }
    await rm(sockets, { recursive: true, force: true });
  }
}

/** What pg_ctl is called by, so that the server is born where it belongs. */
export interface Launcher {
  command: readonly string[];
  /** Absent: as the worker itself. */
  as?: RunAs;
}

/** Its pipes are nobody's: the server that it leaves behind would hold them open. */
export async function pgCtlStart(use: NodeUse, how: readonly string[] = ['-W'], by?: Launcher): Promise<void> {
  const { node, name } = use;
  const { configDir = node.dataDir } = node.start;
  const log = (node.start.by === 'pg_ctl' ? node.start.log : undefined) ?? join(node.dataDir, 'lifeboat.start.log');
  const as = by ? by.as : await ownerOf(use);
  const call = [...(by?.command ?? []), join(await binariesOf(use), 'pg_ctl'), '-D', configDir, ...how];
  const [program = '', ...args] = [...call, '-s', '-l', log, 'start'];
  const child = spawn(program, args, { ...spawnOptions(as ? { as } : {}), stdio: 'ignore' });
  const stop = (): void => endGroup(child);
  use.run.signal.addEventListener('abort', stop, { once: true });
  const code = await exitOf(child, 'pg_ctl').finally(() => use.run.signal.removeEventListener('abort', stop));
  use.run.signal.throwIfAborted();
  if (code === 0) return;
  throw failure('Unavailable', `${name} cannot be started`, {
    place: log,
    expected: 'exit 0 of pg_ctl start',
    found: `exit ${code ?? 'by a signal'}`,
    hint: `see ${log}; it is tried again by itself`,
  });
}

async function callProgram(use: NodeUse, what: 'start' | 'stop', program: Program): Promise<void> {
  const place = `services.${use.service}.cluster.nodes.${use.name}.start.${what}`;
  const environment = { LIFEBOAT_NODE: use.name, LIFEBOAT_DATA: use.node.dataDir };
  const end = await runProgram(program, { args: [], environment, place }, use.run);
  if (!end.timedOut && end.code === 0) return;
  const found = end.timedOut ? `no end within ${end.after}` : `exit ${end.code ?? 'by a signal'}: ${end.stderr.trim().split('\n').at(-1) ?? ''}`; // prettier-ignore
  throw failure('Unavailable', `${use.name}: its program to ${what} it failed`, {
    ...{ place, expected: 'exit 0', found: found.slice(0, 300) },
    hint: `try it: ${program.run.join(' ')}`,
  });
}

function notUp({ name, node }: NodeUse, cause: unknown): Error {
  return failure('Unavailable', `${name} takes no sessions: ${findFailure(cause)?.message ?? String(cause)}`, {
    place: node.dataDir,
    expected: `sessions within ${formatDuration(UP_MS)}`,
    found: 'none',
    hint: `see the log of the server in ${node.dataDir}`,
    cause,
  });
}

/**
 * Fast shutdown, and returns when no server runs there any more. `withinMs` has to be longer than wal_sender_timeout: a shutdown waits
 * so long for a standby that was cut off. Unavailable when it still runs then.
 */
export async function stopNode(use: NodeUse, withinMs: number): Promise<void> {
  const { node } = use;
  const pid = await runningServer(node.dataDir);
  if (pid === undefined) return;
  if (node.start.by === 'command') await callProgram(use, 'stop', node.start.stop);
  else process.kill(pid, 'SIGINT');
  if (await gone(use, withinMs)) return;
  throw failure('Unavailable', `${use.name} does not stop`, {
    place: node.dataDir,
    expected: `no server within ${formatDuration(withinMs)}`,
    found: `postmaster ${pid} still runs`,
    hint: 'it waits for a standby that does not answer, or for a session; it is tried again by itself',
  });
}

/** By what the server leaves behind: a process that nobody has waited for stays in the list. */
async function gone({ run, node }: NodeUse, withinMs: number): Promise<boolean> {
  const deadline = run.clock.nowMs() + withinMs;
  while ((await runningServer(node.dataDir)) !== undefined) {
    if (run.clock.nowMs() > deadline) return false;
    await run.clock.sleep(POLL_MS, run.signal);
  }
  return true;
}

/**
 * Ends a server for good, whatever state it is in: fast, then at once, then by the kernel, which ends one that is frozen, too, and sessions
 * that have outlived their postmaster. What was acknowledged is on its disk. True when no process of it is left; false also when another one
 * was started meanwhile.
 */
export async function endNode(use: NodeUse, fastMs: number): Promise<boolean> {
  const { dataDir } = use.node;
  const pid = await runningServer(dataDir);
  try {
    // One that stands still takes no orders: it would be waited for in vain while nobody is served.
    if (pid === undefined || !(await isFrozen(pid))) await stopNode(use, fastMs);
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error) || pid === undefined) throw error;
    process.kill(pid, 'SIGQUIT');
    await gone(use, FORCED_MS);
  }
  const left = await processesOn(dataDir);
  for (const each of left) killed(each);
  const deadline = use.run.clock.nowMs() + FORCED_MS;
  while ((await processesOn(dataDir)).length > 0) {
    const next = await runningServer(dataDir);
    // Somebody has started another one, which would be waited for in vain.
    if (next !== undefined && next !== pid && !left.includes(next)) return false;
    if (use.run.clock.nowMs() > deadline) return false;
    await use.run.clock.sleep(POLL_MS, use.run.signal);
  }
  return (await runningServer(dataDir)) === undefined;
}

/** Stopped by a signal (proc_pid_stat(5), state). */
async function isFrozen(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')')).startsWith(') T');
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Process ids of a server, all of them: each works in its data directory, under whatever path it sees that in a container. */
export async function processesOn(path: string): Promise<number[]> {
  const data = await stat(path, { bigint: true });
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    numbers.map(async (name) => {
      const program = await readlink(`/proc/${name}/exe`).catch(() => '');
      if (!/\/postgres( \(deleted\))?$/.test(program)) return [];
      const folder = await stat(`/proc/${name}/cwd`, { bigint: true }).catch(() => undefined);
      return folder?.ino === data.ino && folder.dev === data.dev ? [Number(name)] : [];
    }),
  );
  return found.flat();
}
