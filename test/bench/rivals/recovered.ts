import { existsSync } from 'node:fs';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../../activities/io/free-port.ts';
import { run } from '../../support/postgres.ts';
import { cpuOf, postmasterPid, statFields } from '../measured.ts';
import type { Work } from './contestant.ts';
import type { Grounds } from './grounds.ts';
import { NO_ARCHIVE } from './grounds.ts';
import { ToolMeter } from './tool-meter.ts';

const POLL_MS = 20;

export interface RecoverOrder {
  data: string;
  /** With %f and %p. */
  restoreCommand: string;
  /** As far as makes the backup consistent, or all there is. */
  target: 'immediate' | 'latest';
  /** What the command runs. */
  program: string;
}

/** Starts a server on restored files and waits until it has replayed and takes writes; it is stopped again, unmeasured. */
export async function recover(grounds: Grounds, order: RecoverOrder): Promise<Work> {
  const { data, program } = order;
  const { binaries, connection } = grounds.cluster.server;
  const port = await freePort();
  await configure({ ...order, port });
  const control = join(binaries, 'pg_ctl');
  const meter = new ToolMeter(program);
  const startedMs = performance.now();
  try {
    await run(control, ['-D', data, '-l', join(grounds.dir, 'restored.log'), '-w', '-t', '3600', 'start']);
    const startup = await childNamed(await postmasterPid(data), 'startup');
    const commandSeconds = await openForWrites({ ...connection, port }, startup);
    const wallMs = performance.now() - startedMs;
    // Only a process that has ended is in the postmaster's account.
    while (startup !== undefined && existsSync(`/proc/${startup}`)) await delay(POLL_MS);
    const { ownSeconds, waitedSeconds } = await cpuOf(await postmasterPid(data));
    const { detachedCpuSeconds, peakRssBytes } = await meter.end();
    await refuseEmpty({ ...connection, port });
    const serverCpuSeconds = Math.max(0, ownSeconds + waitedSeconds - commandSeconds);
    return { wallMs, cpuSeconds: detachedCpuSeconds + commandSeconds, serverCpuSeconds, peakRssBytes };
  } catch (error) {
    const log = await readFile(join(grounds.dir, 'restored.log'), 'utf8').catch(() => '');
    throw new Error(`${log.slice(-1500)}${String(error)}`, { cause: error });
  } finally {
    await meter.end();
    await run(control, ['-D', data, '-m', 'immediate', '-w', 'stop']).catch(() => undefined);
  }
}

async function configure(order: RecoverOrder & { port: number }): Promise<void> {
  const { data, restoreCommand, target, port } = order;
  const settings = {
    port: String(port),
    unix_socket_directories: dirname(data),
    archive_command: NO_ARCHIVE,
    restore_command: restoreCommand,
    recovery_target: target === 'immediate' ? 'immediate' : '',
    recovery_target_action: 'promote',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  // The last line of a name counts: a tool may have written its own before.
  await appendFile(join(data, 'postgresql.auto.conf'), lines.join(''));
  await writeFile(join(data, 'recovery.signal'), '');
}

/** Until it is no standby any more; gives the CPU seconds of the restore commands that its recovery has waited for. */
async function openForWrites(where: pg.ClientConfig, startup: number | undefined): Promise<number> {
  const client = new pg.Client(where);
  client.on('error', () => {});
  await client.connect();
  try {
    let commandSeconds = 0;
    for (;;) {
      const { rows } = await client.query<{ still: boolean }>('select pg_is_in_recovery() as still');
      if (rows[0]?.still === false) return commandSeconds;
      if (startup !== undefined) commandSeconds = Math.max(commandSeconds, (await cpuOf(startup)).waitedSeconds);
      await delay(POLL_MS);
    }
  } finally {
    await client.end();
  }
}

async function childNamed(parent: number, word: string): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    if (Number(statFields(stat)[1]) !== parent) continue;
    const title = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (title.includes(word)) return Number(name);
  }
  return undefined;
}

/** A restore that lost the table is none, however fast it was. */
async function refuseEmpty(where: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(where);
  await client.connect();
  try {
    const { rows } = await client.query<{ n: string }>(`select count(*)::text as n from bench_marks`);
    if (Number(rows[0]?.n) === 0) throw new Error('the restored database has no rows of bench_marks');
  } finally {
    await client.end();
  }
}
