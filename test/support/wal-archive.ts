import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../../activities/io/clock.ts';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { ShipOptions, WalVault } from '../../activities/sources/source.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import type { TestPostgres } from './postgres.ts';
import { serverUser, withPostgres, withServerDir } from './postgres.ts';
import { recoveryOptions, SHIP, valueOf } from './recovery.ts';
import type { TestVault } from './vault.ts';
import { testVault } from './vault.ts';
import { withTempDir } from './temp-dir.ts';

export interface Pushed {
  code: number | null;
  said: string;
}

export interface Agent {
  ended: Promise<unknown>;
  stop(): Promise<void>;
}

/** A server that archives through the helper, and keeps a copy of each file beside as plain files: the oracle. */
export interface Archiving {
  server: TestPostgres;
  id: string;
  place: TestVault;
  wal: WalVault;
  /** Where the server's archiver puts its copies. */
  copies: string;
  socket: string;
  /** Starts to take files; `wal` may be another one than the vault's own. */
  agent(wal?: WalVault, use?: Partial<ShipOptions & Pick<Run, 'clock'>>): Agent;
  /** Calls the helper as the server does. */
  push(file: string): Promise<Pushed>;
  /** A copy of an archived file, changed, in the server's data directory. */
  foreign(name: string, change: (bytes: Buffer) => Buffer, as?: string): Promise<string>;
}

/** The agent of a test has ended when it is over. */
export async function withArchiving(version: number, callback: (at: Archiving) => Promise<void>): Promise<void> {
  const { walPush } = await ensureTools(['walPush'], { log: () => undefined });
  await withServerDir(async (shared) => {
    const helper = join(shared, 'lifeboat-wal-push');
    await copyFile(walPush, helper);
    await chmod(helper, 0o755);
    const [copies, socket] = [join(shared, 'copies'), join(shared, 's')];
    await mkdir(copies);
    const { uid, gid } = serverUser();
    if (uid !== undefined && gid !== undefined) await chown(copies, uid, gid);
    const archive_command = `cp %p ${copies}/%f && ${helper} ${socket} %p`;
    await withPostgres({ version, settings: { archive_mode: 'on', archive_command } }, (server) =>
      withTempDir(async (dir) => {
        const place = await testVault(dir);
        await using vault = await place.open();
        const id = await valueOf(server.sql, 'select system_identifier from pg_control_system()');
        await server.sql('create table t (id serial, body text)');
        const agents: Agent[] = [];
        const agent: Archiving['agent'] = (wal = vault.wal, use = {}) => {
          const made = startAgent({ server, socket, wal }, use);
          agents.push(made);
          return made;
        };
        const push = (file: string): Promise<Pushed> => call(helper, [socket, file]);
        const foreign: Archiving['foreign'] = async (name, change, as = name) => {
          const path = join(server.dataDir, `changed-${Math.random()}`, as);
          await mkdir(dirname(path), { recursive: true });
          await writeFile(path, change(await readFile(join(copies, name))));
          return path;
        };
        try {
          await callback({ ...{ server, id, place, wal: vault.wal, copies, socket }, agent, push, foreign });
        } finally {
          for (const each of agents) await each.stop();
        }
      }),
    );
  });
}

function startAgent(
  { server, socket, wal }: Pick<Archiving, 'server' | 'socket' | 'wal'>,
  { clock = systemClock, ...ship }: Partial<ShipOptions & Pick<Run, 'clock'>>,
): Agent {
  const stopper = new AbortController();
  const run = plainRun({ clock, signal: stopper.signal });
  const archive = { host: 'here', socket, socketMode: 0o666 };
  const ended = createLogShipping('shop', recoveryOptions(server), run).ship(wal, { ...SHIP, ...ship, archive });
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopper.abort(new Error('stopped'));
    await ended.catch(() => undefined);
  };
  return { ended, stop };
}

/** As the user that the server runs as. */
async function call(program: string, args: string[]): Promise<Pushed> {
  const { uid, gid } = serverUser();
  const as = uid !== undefined && gid !== undefined ? { uid, gid } : {};
  const child = spawn(program, args, { ...as, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

/** Segments that the server has archived, whatever the vault says. */
export async function archived(server: TestPostgres): Promise<string> {
  return valueOf(server.sql, `select coalesce(last_archived_wal, '') from pg_stat_archiver`);
}

/** Ends the open segment and gives its name. */
export async function switched(server: TestPostgres): Promise<string> {
  await server.sql('insert into t (body) values (repeat(md5(random()::text), 8))');
  const name = await valueOf(server.sql, 'select pg_walfile_name(pg_current_wal_lsn())');
  await server.sql('select pg_switch_wal()');
  return name;
}

/** The end of a wait, or the agent's own failure while it is waited for. */
async function unlessEnded(agent: Agent, ready: () => Promise<boolean>): Promise<void> {
  const ended = agent.ended.then(() => {
    throw new Error('the agent has ended');
  });
  ended.catch(() => undefined);
  while (!(await ready())) await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 20))]);
}

/** Waits until the server has archived up to a segment; a new one wakes an archiver that pauses after failures. */
export async function untilArchived(server: TestPostgres, name: string, agent: Agent): Promise<void> {
  await unlessEnded(agent, async () => {
    await server.sql(
      `select pg_switch_wal() from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')`,
    );
    return (await archived(server)).slice(0, 24) >= name;
  });
}

export async function untilListening({ socket }: Archiving, agent: Agent): Promise<void> {
  await unlessEnded(agent, () => isSocket(socket));
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch {
    return false;
  }
}
