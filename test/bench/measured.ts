import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, rm } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import type { TestPostgres } from '../support/postgres.ts';
import type { Sample } from './figures.ts';

const POLL_MS = 100;
/** Of a command and of its last words, characters. */
const MOST_SAID = 600;
/** USER_HZ: what /proc counts in on every Linux we know of. */
const TICKS_PER_SECOND = 100;

export interface Finished extends Sample {
  stdout: string;
  /** That it read, of files and connections, in and out of the page cache (rchar of proc(5), /proc/pid/io). */
  readBytes: number;
}

/**
 * Runs a shell script and measures it and all that it starts: times and reads by the kernel's account of what the shell has
 * waited for, memory by adding up the peaks of all that lives, ten times a second.
 */
export async function measure(script: string, args: string[] = []): Promise<Finished> {
  const timed = `TIMEFORMAT='%R %U %S'; set -eo pipefail; time { ${script}\n}; read -r _ bytes < /proc/$$/io; echo $bytes >&2`;
  const child = spawn('bash', ['-c', timed, 'bash', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  let peakRssBytes = 0;
  const timer = setInterval(() => {
    void residentPeaks(child.pid ?? 0).then((bytes) => (peakRssBytes = Math.max(peakRssBytes, bytes)));
  }, POLL_MS);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(timer);
  const [wall, user = 0, system = 0, readBytes = 0] = ACCOUNT.exec(stderr)?.slice(1).map(Number) ?? [];
  if (code !== 0 || wall === undefined) {
    const said = `${stdout}\n${stderr}`.trim().slice(-MOST_SAID);
    throw new Error(`${[script, ...args].join(' ').slice(0, MOST_SAID)} ended with ${code}: ${said}`);
  }
  return { wallMs: wall * 1000, cpuSeconds: user + system, peakRssBytes, readBytes, stdout };
}

/** What the script says last: times and bytes. */
const ACCOUNT = /([\d.]+) ([\d.]+) ([\d.]+)\s+(\d+)\s*$/;

/** Of all that lives below a process, the most each of them has had. */
async function residentPeaks(root: number): Promise<number> {
  const peaks = await Promise.all((await descendants(root)).map((pid) => peakRssBytesOf(pid)));
  return peaks.reduce((sum, bytes) => sum + bytes, 0);
}

/** Nothing of a process that is gone. */
export async function peakRssBytesOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Not the shell itself. */
async function descendants(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const found: number[] = [];
  for (const task of tasks) {
    const children = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '');
    for (const child of children.trim().split(' ').filter(Boolean).map(Number)) {
      found.push(child, ...(await descendants(child)));
    }
  }
  return found;
}

/** Adds the CPU time that the server's ended processes took meanwhile: every session of `work` must have ended with it. */
export async function withServerCpu<T extends Sample>(server: TestPostgres, work: () => Promise<T>): Promise<T> {
  const before = await serverCpuSeconds(server);
  const sample = await work();
  await sessionsEnded(server);
  return { ...sample, serverCpuSeconds: (await serverCpuSeconds(server)) - before };
}

/** Only a session that has ended is in the postmaster's account. */
async function sessionsEnded(server: TestPostgres): Promise<void> {
  const count = `select count(*)::int as n from pg_stat_activity where backend_type in ('walsender', 'client backend')`;
  // One is the session that asks.
  while (Number((await server.sql(count))[0]?.['n']) > 1) await new Promise((wait) => setTimeout(wait, POLL_MS));
}

async function serverCpuSeconds(server: Pick<TestPostgres, 'dataDir'>): Promise<number> {
  const { ownSeconds, waitedSeconds } = await cpuOf(await postmasterPid(server.dataDir));
  return ownSeconds + waitedSeconds;
}

export async function postmasterPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** Of a process, and of the children it has waited for (proc(5), fields 14 to 17 of stat); nothing of one that is gone. */
export async function cpuOf(pid: number): Promise<{ ownSeconds: number; waitedSeconds: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [user = 0, system = 0, waitedUser = 0, waitedSystem = 0] = statFields(stat).slice(11, 15).map(Number);
  return {
    ownSeconds: (user + system) / TICKS_PER_SECOND,
    waitedSeconds: (waitedUser + waitedSystem) / TICKS_PER_SECOND,
  };
}

/** From the third field on: the second is a name that may hold anything. */
export function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

const TOGETHER_BYTES = 256 << 20;

/**
 * Work that all processors do together, in what one of them does alone: zstd -3 of the same bytes by one process and by as
 * many as there are processors. Two threads of one core are not two processors, and share its cache.
 */
export async function workTogether(tarZst: string, folder: string): Promise<number> {
  const file = join(folder, 'together.tar');
  await measure('zstd -dcq "$1" | head -c "$2" > "$3" || test -s "$3"', [tarZst, String(TOGETHER_BYTES), file]);
  const compress = (count: number): Promise<Finished> =>
    measure('for i in $(seq "$2"); do zstd -q -3 -c "$1" > /dev/null & done; wait', [file, String(count)]);
  await compress(1);
  const alone = await compress(1);
  const together = await compress(cpus().length);
  await rm(file);
  return (cpus().length * alone.wallMs) / together.wallMs;
}

/** `folder` is where everything is written: what the figures rest on as much as on the processors. */
export async function describeMachine(folder: string): Promise<string> {
  const memory = /^MemTotal:\s+(\d+) kB/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
  const gibibytes = Math.round(Number(memory) / 1024 / 1024);
  const { stdout: fileSystem } = await measure('stat -f -c %T "$1"', [folder]);
  return `${cpus().length} processors (${cpus()[0]?.model.trim() ?? 'unknown'}), ${gibibytes} GiB of memory, ${fileSystem.trim()}, load ${loadavg()[1]?.toFixed(1)}`;
}
