import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, rm } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import type { TestPostgres } from '../support/postgres.ts';
import type { Sample } from './figures.ts';

const POLL_MS = 100;
/** USER_HZ: what /proc counts in on every Linux we know of. */
const TICKS_PER_SECOND = 100;

export interface Finished extends Sample {
  stdout: string;
}

/**
 * Runs a shell script and measures it and all that it starts: times by the shell's own accounting, memory by looking at
 * the peak of each process ten times a second, added up.
 */
export async function measure(script: string, args: string[] = []): Promise<Finished> {
  const timed = `TIMEFORMAT='%R %U %S'; set -eo pipefail; time { ${script}\n}`;
  const child = spawn('bash', ['-c', timed, 'bash', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const peaks = new Map<number, number>();
  const timer = setInterval(() => void notePeaks(child.pid ?? 0, peaks), POLL_MS);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(timer);
  const [wall, user, system] = /([\d.]+) ([\d.]+) ([\d.]+)\s*$/.exec(stderr)?.slice(1).map(Number) ?? [];
  if (code !== 0 || wall === undefined) throw new Error(`${script} ended with ${code}: ${stderr}`);
  const peakRssBytes = [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
  return { wallMs: wall * 1000, cpuSeconds: (user ?? 0) + (system ?? 0), peakRssBytes, stdout };
}

async function notePeaks(root: number, peaks: Map<number, number>): Promise<void> {
  for (const pid of await descendants(root)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    peaks.set(pid, Math.max(peak, peaks.get(pid) ?? 0));
  }
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

/** Of the postmaster and the children it has waited for (proc(5), fields 14 to 17 of stat). */
async function serverCpuSeconds(server: TestPostgres): Promise<number> {
  const pid = (await readFile(join(server.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0] ?? '';
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
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
