import { readFile, readlink } from 'node:fs/promises';
import { query, withConnection } from '../io/postgres/connection.ts';
import type { ServerOptions } from '../io/postgres/connection.ts';
import { runningServer } from '../io/postgres/server.ts';
import { askPort } from '../io/port-probe.ts';
import { findFailure } from '../../workflows/model/failure.ts';
import { isCleanState, readControl } from './control.ts';
import { readNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { connectionOf } from './node.ts';

/** One that a supervisor has started again takes sessions by then. */
const AGAIN_MS = 10_000;
const POLL_MS = 100;
const ANSWER_MS = 3_000;

/**
 * Why it is not certain that a server whose processes were ended takes no writes; undefined when it is. A list of processes does not tell:
 * the server may run on the same files in another container, or be started again. `wasSeen`: a process of it was there to be ended. One that
 * was started as a standby meanwhile takes no writes.
 */
export async function doubtOf(use: NodeUse, { wasSeen }: { wasSeen: boolean }): Promise<string | undefined> {
  const { clock, signal } = use.run;
  const deadline = clock.nowMs() + AGAIN_MS;
  for (;;) {
    const again = await runningServer(use.node.dataDir);
    if (again === undefined) return doubtOfUnseen(use, wasSeen);
    if (await isStandby(use, connectionOf(use))) return undefined;
    if (clock.nowMs() > deadline) return `postmaster ${again} still runs`;
    await clock.sleep(POLL_MS, signal);
  }
}

async function doubtOfUnseen(use: NodeUse, wasSeen: boolean): Promise<string | undefined> {
  const own = connectionOf(use);
  const ways = [own, connectionOf(use, true)].filter(({ host }, at, all) => at === 0 || host !== all[0]?.host);
  for (const way of ways) {
    const { host, port, connectTimeout: withinMs } = way;
    const answer = await askPort({ host, port, withinMs }, use.run);
    const place = `${host}, port ${port}`;
    if (answer === 'open' && !(await isStandby(use, way))) return `${place}, still takes connections`;
    if (answer === 'silent' && way === own && !wasSeen) return `nothing says that nobody listens at ${place}`;
  }
  return wasSeen ? undefined : unseenBy(await tracesOf(use));
}

async function isStandby({ run }: NodeUse, way: ServerOptions): Promise<boolean> {
  try {
    return await withConnection(way, { statementTimeoutMs: ANSWER_MS, signal: run.signal }, async (sql) => {
      const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
      return row?.standby === true;
    });
  } catch (error) {
    run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return false;
  }
}

/** What a server leaves where it runs. */
export interface Traces {
  /** postmaster.pid, which is there for as long as it runs, and outlives a crash; undefined: there is none. */
  lock: string | undefined;
  /** Shared memory of this machine, or container: /proc/sysvipc/shm. */
  segments: string;
  /** Of pg_control; undefined: it cannot be read. */
  state: string | undefined;
  /** Every process of the machine is seen from here, those in containers, too. */
  seesAll: boolean;
}

async function tracesOf(use: NodeUse): Promise<Traces> {
  const [lock, segments, namespace] = await Promise.all([
    readNodeFile(use, 'postmaster.pid'),
    readFile('/proc/sysvipc/shm', 'utf8').catch(() => ''),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ]);
  return { lock, segments, state: await stateOf(use), seesAll: namespace === FIRST_NAMESPACE };
}

/** include/linux/proc_ns.h, PROC_PID_INIT_INO. */
const FIRST_NAMESPACE = `pid:[${0xeffffffc}]`;

/** pg_control says it; undefined where it cannot be read. */
export async function stateOf(use: NodeUse): Promise<string | undefined> {
  try {
    return (await readControl(use)).state;
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return undefined;
  }
}

/**
 * Why a server of which no process is seen may run all the same; undefined when it does not. postmaster.pid names in its seventh line the
 * shared memory that every process of the server is attached to (src/include/utils/pidfile.h): none is, so it has crashed here.
 */
export function unseenBy({ lock, segments, state, seesAll }: Traces): string | undefined {
  const attached = lock === undefined ? undefined : attachedTo(lock, segments);
  if (attached === 0) return undefined;
  if (attached !== undefined) return `${attached} processes that are not seen from here use its shared memory`;
  if (seesAll) return undefined;
  if (lock === undefined && state !== undefined && isCleanState(state)) return undefined;
  const found = lock === undefined ? `pg_control says: ${state ?? 'nothing'}` : `postmaster.pid names process ${lock.split('\n')[0]}`; // prettier-ignore
  return `${found}, and it may run in another container, whose processes are not seen from here`;
}

/** Undefined where there is no such memory. */
function attachedTo(lock: string, segments: string): number | undefined {
  const [key = '', id = ''] = (lock.split('\n')[6] ?? '').trim().split(/\s+/);
  if (!/^\d+$/.test(key) || !/^\d+$/.test(id)) return undefined;
  const rows = segments.split('\n').map((line) => line.trim().split(/\s+/));
  const row = rows.find(([k = '', i]) => i === id && /^-?\d+$/.test(k) && sameKey(k, key));
  return row === undefined ? undefined : Number(row[SHM_ATTACHED]);
}

/** Of /proc/sysvipc/shm: key, shmid, perms, size, cpid, lpid, nattch (proc_sysvipc(5)). */
const SHM_ATTACHED = 6;

/** The one writes it with a sign, the other without. */
function sameKey(one: string, other: string): boolean {
  return BigInt.asIntN(32, BigInt(one)) === BigInt.asIntN(32, BigInt(other));
}
