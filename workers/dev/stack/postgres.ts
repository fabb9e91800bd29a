import { existsSync } from 'node:fs';
import { chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { runCommand } from '../../../activities/io/run-command.ts';
import { failure } from '../../../workflows/model/failure.ts';
import type { LocalStack } from './compose-file.ts';
import type { ProcessRequest, StackProcess } from './process.ts';
import { untilReady } from './ready.ts';
import { checkReachable, serverUser } from './server-user.ts';
import type { ServerUser } from './server-user.ts';

const DUPLICATE_DATABASE = '42P04';
const CONNECT_LIMIT_MS = 2000;

export interface PostgresServer {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  dataDir: string;
  /** Folder with initdb, pg_ctl and postgres. */
  binaries: string;
  /** User that the server runs as; what restore.runAs should say. */
  runAs: string;
  pid: number;
}

export interface PostgresRequest {
  binaries: string;
  plan: LocalStack['postgres'];
  port: number;
  dir: string;
  stopSignal: 'INT' | 'QUIT';
  start(request: ProcessRequest): StackProcess;
  signal: AbortSignal;
}

/** Where a cluster is made, and whose it is. */
export interface Place {
  dataDir: string;
  user: ServerUser;
}

/** A cluster with checksums and passwords on loopback; the one in the folder when there is one. Resolves when it answers. */
export async function startPostgres(request: PostgresRequest): Promise<PostgresServer> {
  const { binaries, plan, port, dir, signal } = request;
  const user = serverUser();
  const home = join(dir, 'postgres');
  await mkdir(home, { recursive: true });
  if (user.as) await chown(home, user.as.uid, user.as.gid);
  await checkReachable(home, user);
  const place = { dataDir: join(home, 'data'), user };
  if (!existsSync(place.dataDir)) await initialise(request, place);
  await writeFile(join(place.dataDir, 'pg_hba.conf'), plan.hba);
  const settings = { ...plan.settings, port, listen_addresses: '127.0.0.1', unix_socket_directories: '' };
  const server = request.start({
    name: 'postgres',
    command: join(binaries, 'postgres'),
    args: ['-D', place.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    cwd: home,
    logFile: join(dir, 'logs', 'postgres.log'),
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    as: user.as,
    stopSignal: request.stopSignal,
  });
  const { password, database } = plan;
  const access = { host: '127.0.0.1', port, user: plan.user, password };
  await untilReady(server, () => haveDatabase(access, database), signal);
  return { ...access, database, dataDir: place.dataDir, binaries, runAs: user.name, pid: server.pid };
}

/** initdb under another name, renamed when it is complete. */
export async function initialise(
  { binaries, plan, signal }: Pick<PostgresRequest, 'binaries' | 'plan' | 'signal'>,
  { dataDir, user }: Place,
): Promise<void> {
  const staging = `${dataDir}.new`;
  const passwordFile = `${dataDir}.password`;
  await rm(staging, { recursive: true, force: true });
  await writeFile(passwordFile, `${plan.password}\n`, { mode: 0o600 });
  try {
    if (user.as) await chown(passwordFile, user.as.uid, user.as.gid);
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const args = ['-D', staging, '-U', plan.user, `--pwfile=${passwordFile}`, ...plan.initdbArgs, ...locale];
    const options = { signal, ...(user.as ? { as: user.as } : {}) };
    const { code, stderr } = await runCommand(join(binaries, 'initdb'), args, options);
    if (code !== 0) throw notInitialised(code, stderr);
    await rename(staging, dataDir);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(staging, { recursive: true, force: true });
  }
}

function notInitialised(code: number | undefined, stderr: string): Error {
  return failure('Unavailable', `initdb ended with ${code ?? 'a signal'}`, {
    expected: 'a new cluster',
    found: stderr.trim(),
    hint: 'check free disk space, and that the folder is writable',
  });
}

async function haveDatabase(access: pg.ClientConfig, database: string): Promise<boolean> {
  const client = new pg.Client({ ...access, database: 'postgres', connectionTimeoutMillis: CONNECT_LIMIT_MS });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query(`create database ${client.escapeIdentifier(database)}`);
  } catch (error) {
    if ((error as { code?: string }).code !== DUPLICATE_DATABASE) throw error;
  } finally {
    await client.end();
  }
  return true;
}
