import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { makeOwned, serverUser } from './postgres.ts';

const LOOK_MS = 20;
const GONE_MS = 60_000;
const TIMES = 5;

/** A real PgBouncer in transaction pooling, whose entries stand in a file of their own. */
export interface Pooler extends AsyncDisposable {
  port: number;
  /** That it includes. */
  file: string;
  /** Options of the kind "pgbouncer" that lead `shop`; `postgres` is its admin, `viewer` may look. */
  options: Record<string, unknown>;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** A client of an entry. */
  connect(database?: string): Promise<pg.Client>;
  log(): Promise<string[]>;
}

export interface PoolerOptions {
  /** Lines below [databases]. */
  entries: readonly string[];
  settings?: Record<string, string>;
  /** It includes another file than the one that is said. */
  isDeaf?: boolean;
}

/** In a folder of the server user's; see `withServerDir`. Somebody else may take the port that was free: then on another one. */
export async function startPooler(parent: string, options: PoolerOptions): Promise<Pooler> {
  for (let time = 1; ; time++) {
    const port = await freePort();
    try {
      return await startPoolerAt(port, parent, options);
    } catch (error) {
      if (time === TIMES) throw error;
    }
  }
}

async function startPoolerAt(
  port: number,
  parent: string,
  { entries, settings, isDeaf }: PoolerOptions,
): Promise<Pooler> {
  const { pgbouncer } = await ensureTools(['pgbouncer'], { log: () => undefined });
  const dir = join(parent, `pooler-${port}`);
  await makeOwned(dir);
  const [ini, file] = [join(dir, 'pgbouncer.ini'), join(dir, 'entries.ini')];
  const [users, other] = [join(dir, 'users.txt'), join(dir, 'other.ini')];
  const text = ['; of the users', '[databases]', ...entries, ''].join('\n');
  const all = {
    ...{
      listen_addr: '127.0.0.1',
      listen_port: String(port),
      unix_socket_dir: '',
      auth_type: 'trust',
      auth_file: users,
    },
    ...{ admin_users: 'postgres', stats_users: 'viewer', pool_mode: 'transaction', logfile: join(dir, 'log') },
    ...{ query_wait_timeout: '0', server_login_retry: '1', ...settings },
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  await writeOwned(ini, [`%include ${isDeaf ? other : file}`, '[pgbouncer]', ...lines, ''].join('\n'));
  await writeOwned(users, '"postgres" ""\n"viewer" ""\n');
  for (const path of [file, other]) await writeOwned(path, text);
  let child: ChildProcess | undefined;
  const connect = async (database = 'shop', user = 'postgres'): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, database });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const kill = async (): Promise<void> => {
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
  };
  const start = async (): Promise<void> => {
    child = spawnAs(pgbouncer, [ini]);
    await answers(child, () => connect('pgbouncer'));
  };
  try {
    await start();
  } catch (error) {
    await kill();
    throw error;
  }
  return {
    ...{ port, file, start, kill, connect },
    options: {
      console: { host: '127.0.0.1', port, user: 'postgres' },
      ...{ databases: ['shop'], file, drain: '5s' },
    },
    log: async () => (await readFile(join(dir, 'log'), 'utf8')).split('\n'),
    [Symbol.asyncDispose]: kill,
  };
}

async function writeOwned(path: string, text: string): Promise<void> {
  const { uid, gid } = serverUser();
  await writeFile(path, text, { mode: 0o640 });
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}

function spawnAs(program: string, args: string[]): ChildProcess {
  const { uid, gid } = serverUser();
  const as = uid !== undefined && gid !== undefined ? { uid, gid } : {};
  return spawn(program, args, { ...as, cwd: '/', stdio: 'ignore' });
}

async function answers(child: ChildProcess, connect: () => Promise<pg.Client>): Promise<void> {
  for (let waited = 0; ; waited += LOOK_MS) {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended with ${child.exitCode}`);
    const client = await connect().catch((error: unknown) => {
      if (waited > GONE_MS) throw error;
      return undefined;
    });
    if (client) return client.end();
    await sleep(LOOK_MS);
  }
}
