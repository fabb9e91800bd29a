import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../activities/io/free-port.ts';
import { findPostgres } from '../../workers/dev/setup/postgres.ts';
import { makeCluster } from './cluster.ts';

export interface TestPostgres {
  version: number;
  binaries: string;
  dataDir: string;
  port: number;
  /** Superuser connection to `database` (default postgres). */
  connect(database?: string): Promise<pg.Client>;
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
  connection: { host: string; port: number; user: string; database: string };
}

export interface TestPostgresOptions {
  version?: number;
  settings?: Record<string, string>;
  initdb?: string[];
  hba?: string;
}

/** Folder of the server programs of a major version, wherever the set-up put them. */
export function binariesOf(version: number): string {
  const found = findPostgres(version);
  if (!found) throw new Error(`PostgreSQL ${version} is not set up: npm run setup -- postgres${version}`);
  return found;
}

/** uid and gid that servers run as: PostgreSQL refuses root. */
export function serverUser(): { uid?: number; gid?: number; name: string } {
  if (process.getuid?.() !== 0) return { name: userInfo().username };
  const id = (flag: string): number => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout.trim());
  return { uid: id('-u'), gid: id('-g'), name: 'nobody' };
}

/** A folder that the server user owns, gone afterwards. */
export async function withServerDir<T>(callback: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'lifeboat-pg-'));
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) await chown(dir, uid, gid);
  await chmod(dir, 0o755);
  try {
    return await callback(dir);
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** A cluster of its own with trust authentication on loopback, stopped and removed afterwards. */
export async function withPostgres<T>(
  options: TestPostgresOptions,
  callback: (server: TestPostgres) => Promise<T>,
): Promise<T> {
  return withServerDir(async (dir) => {
    const server = await createPostgres(dir, options);
    await server.start();
    try {
      return await callback(server);
    } finally {
      await server.stop('immediate');
    }
  });
}

async function createPostgres(dir: string, options: TestPostgresOptions): Promise<TestPostgres> {
  const version = options.version ?? 18;
  const binaries = binariesOf(version);
  const dataDir = join(dir, 'data');
  const port = await freePort();
  await makeCluster(dataDir, { binaries, args: ['--locale=C.UTF-8', '-A', 'trust', ...(options.initdb ?? [])] });
  await writeFile(
    join(dataDir, 'pg_hba.conf'),
    options.hba ??
      'local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n',
  );
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: dir,
    wal_level: 'replica',
    fsync: 'off',
    shared_buffers: '64MB',
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'`);
  await writeFile(join(dataDir, 'postgresql.auto.conf'), `${lines.join('\n')}\n`);
  return serverIn(dir, { version, binaries, port });
}

/** Where a server is that does not run beside the test. */
export interface ServerSite {
  /** Under which the test reaches it. */
  host: string;
  /** Words before a program that starts it there. */
  enter: readonly string[];
}

/** The server whose data directory is `dir`/data. */
export function serverIn(
  dir: string,
  { version, binaries, port }: Pick<TestPostgres, 'version' | 'binaries' | 'port'>,
  { host, enter }: ServerSite = { host: '127.0.0.1', enter: [] },
): TestPostgres {
  const dataDir = join(dir, 'data');
  const connection = { host, port, user: 'postgres', database: 'postgres' };
  const connect = async (database = 'postgres'): Promise<pg.Client> => {
    const client = new pg.Client({ ...connection, database });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  return {
    ...{ version, binaries, dataDir, port, connection, connect },
    sql: async (text, database) => {
      const client = await connect(database);
      try {
        return (await client.query(text)).rows as Record<string, unknown>[];
      } finally {
        await client.end();
      }
    },
    start: () =>
      run(join(binaries, 'pg_ctl'), ['-D', dataDir, '-l', join(dir, 'log'), '-w', 'start'], { enter }).then(
        () => undefined,
        (error) => withLog(join(dir, 'log'), error),
      ),
    stop: async (mode = 'fast') => {
      if (existsSync(join(dataDir, 'postmaster.pid')))
        await run(join(binaries, 'pg_ctl'), ['-D', dataDir, '-m', mode, '-w', 'stop']).catch(() => undefined);
    },
  };
}

async function withLog(path: string, error: unknown): Promise<never> {
  throw new Error(`${String(error)}\n${await readFile(path, 'utf8').catch(() => '')}`);
}

/** Runs a program as the server user and gives its output; fails with it. `enter`: words before it, which see to that user. */
export async function run(
  program: string,
  args: string[],
  { cwd = '/', enter = [] }: { cwd?: string; enter?: readonly string[] } = {},
): Promise<string> {
  const { uid, gid } = serverUser();
  const [first = program, ...rest] = [...enter, program];
  const as = uid !== undefined && gid !== undefined && enter.length === 0 ? { uid, gid } : {};
  const child = spawn(first, [...rest, ...args], { ...as, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  // A daemon started by pg_ctl keeps the pipes open: its exit, not their end, is what counts.
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === 0) return output;
  throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${output}`);
}

export async function makeOwned(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const { uid, gid } = serverUser();
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid);
}
