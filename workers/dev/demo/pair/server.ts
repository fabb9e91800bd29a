import { appendFile, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { processesOn } from '../../../../activities/cluster/power.ts';
import { runningServer } from '../../../../activities/io/postgres/server.ts';
import { runCommand } from '../../../../activities/io/run-command.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { localStack } from '../../stack/compose-file.ts';
import { initialise } from '../../stack/postgres.ts';
import { serverUser } from '../../stack/server-user.ts';

const POLL_MS = 20;
const END_MS = 15_000;
const CONNECT_MS = 2_000;

/** Of every server: what temporal-dev.yml says of the one of the local stack. */
const PLAN = localStack().postgres;
export const ACCESS = { user: PLAN.user, password: PLAN.password, database: 'postgres' };

export interface ServerPlace {
  /** As lifeboat.yml calls it. */
  node: string;
  site: string;
  /** Folder of its own. */
  home: string;
  port: number;
  /** Folder of the server programs. */
  binaries: string;
  signal: AbortSignal;
}

/** One of two servers of a cluster, in the hands of whoever owns its host: Lifeboat has its own way to it. */
export class ClusterServer {
  readonly node: string;
  readonly site: string;
  readonly port: number;
  readonly binaries: string;
  readonly dataDir: string;
  /** Where clients and the other server reach it. */
  readonly address: string;
  readonly #place: ServerPlace;

  constructor(place: ServerPlace) {
    this.#place = place;
    this.node = place.node;
    this.site = place.site;
    this.port = place.port;
    this.binaries = place.binaries;
    this.dataDir = join(place.home, 'data');
    this.address = `127.0.0.1:${place.port}`;
  }

  /** A new cluster, with page checksums, that answers. */
  async make(): Promise<void> {
    const { binaries, signal } = this.#place;
    await this.#ownHome();
    await initialise({ binaries, plan: PLAN, signal }, { dataDir: this.dataDir, user: serverUser() });
    await writeFile(join(this.dataDir, 'pg_hba.conf'), PLAN.hba);
    await this.#set({
      ...PLAN.settings,
      listen_addresses: '127.0.0.1',
      wal_keep_size: '256MB',
      shared_buffers: '64MB',
    });
    await this.start();
  }

  /** A standby that streams from another one; whatever was there before is gone. */
  async follow(primary: ClusterServer): Promise<void> {
    await this.#ownHome();
    await rm(this.dataDir, { recursive: true, force: true });
    const { user, password } = ACCESS;
    const args = ['-h', '127.0.0.1', '-p', String(primary.port), '-U', user, '-D', this.dataDir];
    await this.#run('pg_basebackup', [...args, '-R', '-c', 'fast', '-X', 'stream', '--no-sync'], {
      PGPASSWORD: password,
    });
    await this.#set({});
    await this.start();
  }

  /** As something starts it that comes up with its host: it becomes whatever its directory says. */
  async start(): Promise<void> {
    const log = join(this.#place.home, 'log');
    await this.#run('pg_ctl', ['-D', this.dataDir, '-l', log, '-w', '-s', 'start'], {});
  }

  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#run('pg_ctl', ['-D', this.dataDir, '-m', mode, '-w', '-s', 'stop'], {});
  }

  async promote(): Promise<void> {
    await this.#run('pg_ctl', ['-D', this.dataDir, '-w', '-s', 'promote'], {});
  }

  /** Begin of its last checkpoint, by its control file: of a server that was shut down, its last record. */
  async lastCheckpoint(): Promise<string> {
    const said = await this.#run('pg_controldata', ['-D', this.dataDir], {});
    return /^Latest checkpoint location:\s+(\S+)$/m.exec(said)?.[1] ?? '';
  }

  /** Whatever starts it finds a standby of another one. In force at the next start. */
  async becomeStandbyOf({ port, node }: ClusterServer): Promise<void> {
    const { user, password } = ACCESS;
    const conninfo = `host=127.0.0.1 port=${port} user=${user} password=${password} application_name=${this.node}`;
    await this.sql(`alter system set primary_conninfo = '${conninfo}'`);
    await this.sql(`alter system reset primary_slot_name`);
    const signal = join(this.dataDir, 'standby.signal');
    await writeFile(signal, `of ${node}\n`, { mode: 0o600 });
    const { as } = serverUser();
    if (as) await chown(signal, as.uid, as.gid);
  }

  /** All its processes at once, as a host that loses its power does it. */
  async kill(): Promise<void> {
    for (;;) {
      const left = await processesOn(this.dataDir);
      if (left.length === 0) return;
      for (const pid of left) signalled(pid, 'SIGKILL');
      await sleep(POLL_MS);
    }
  }

  /** Whatever runs there ends, with what it has asked the kernel for. */
  async end(): Promise<void> {
    const pid = await runningServer(this.dataDir).catch(() => undefined);
    if (pid === undefined) return;
    signalled(pid, 'SIGQUIT');
    for (let waited = 0; waited < END_MS && (await runningServer(this.dataDir)) !== undefined; waited += POLL_MS)
      await sleep(POLL_MS);
  }

  /** A session of somebody who knows this server only. */
  async connect(more: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({
      ...{ host: '127.0.0.1', port: this.port, ...ACCESS },
      ...{ connectionTimeoutMillis: CONNECT_MS, ...more },
    });
    // A session that is ended while nothing is asked of it: the next question tells.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = await this.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  async #ownHome(): Promise<void> {
    const { home } = this.#place;
    await mkdir(home, { recursive: true, mode: 0o755 });
    const { as } = serverUser();
    if (as) await chown(home, as.uid, as.gid);
  }

  /** The last line of a setting counts; it is where ALTER SYSTEM changes it, too. */
  async #set(settings: Record<string, string>): Promise<void> {
    const all = { ...settings, port: String(this.port), unix_socket_directories: '', cluster_name: this.node };
    const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'\n`);
    await appendFile(join(this.dataDir, 'postgresql.auto.conf'), lines.join(''));
  }

  async #run(program: string, args: string[], env: Record<string, string>): Promise<string> {
    const { as } = serverUser();
    const { binaries, home, signal } = this.#place;
    const options = { cwd: home, env, signal, ...(as ? { as } : {}) };
    const { code, stdout, stderr } = await runCommand(join(binaries, program), args, options);
    if (code === 0) return stdout;
    throw failure('Unavailable', `${program} of ${this.node} ended with ${code ?? 'a signal'}`, {
      place: home,
      expected: 'exit 0',
      found: `${stderr}\n${stdout}`.trim().slice(-500),
      hint: `see ${join(home, 'log')}`,
    });
  }
}

export function signalled(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
