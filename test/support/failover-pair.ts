import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { FileSwitch } from './file-switch.ts';
import type { TestPostgres } from './postgres.ts';
import { serverUser } from './postgres.ts';
import { caughtUp, withStandby } from './standby.ts';

/** Two servers of one cluster, of which `a` is the primary when a test begins. */
export interface Pair {
  a: TestPostgres;
  b: TestPostgres;
  /** Another standby, where the test wants one. */
  c?: TestPostgres;
}

/** A standby of `primary`, which has replayed a table for the hammer. */
export function withPair<T>(primary: TestPostgres, callback: (pair: Pair) => Promise<T>): Promise<T> {
  return withStandby(primary, {}, async (standby) => {
    await primary.sql('create table hammer (id text primary key)');
    await caughtUp(primary, standby);
    return callback({ a: primary, b: standby });
  });
}

/** The same with another standby, which becomes nothing else. */
export function withThird<T>(pair: Pair, callback: (pair: Pair) => Promise<T>): Promise<T> {
  return withStandby(pair.a, {}, (c) => callback({ ...pair, c }));
}

export function addressIn({ connection: { host, port } }: TestPostgres): string {
  return `${host}:${port}`;
}

/** As `start: { by: command }` takes it; it starts the server as the user that owns it. */
function byCommand(server: TestPostgres): object {
  const { uid, gid } = serverUser();
  const as =
    uid === undefined || gid === undefined
      ? []
      : ['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const ctl = [...as, join(server.binaries, 'pg_ctl'), '-D', server.dataDir];
  return {
    by: 'command',
    binaries: server.binaries,
    start: { run: [...ctl, '-W', '-l', join(server.dataDir, 'start.log'), 'start'] },
    stop: { run: [...ctl, '-m', 'fast', '-w', 'stop'], timeout: '2m' },
  };
}

/** Keys of lifeboat.yml for a service on these servers, whose one switch is `lb`. */
export function pairConfig(
  { a, b, c }: Pair,
  use: {
    lb: FileSwitch;
    source: string;
    hosts: [a: string, b: string];
    /** Servers are started by programs. */
    commands?: true;
    /** Workers speak to their own servers over sockets. */
    sockets?: true;
    /** Of the service. */
    checks?: object[];
    more?: Record<string, unknown>;
  },
): Record<string, unknown> {
  const node = (server: TestPostgres, site: string, host: string): object => ({
    ...{ site, host, dataDir: server.dataDir, address: server.connection.host, port: server.port },
    ...(use.sockets ? { socket: dirname(server.dataDir) } : {}),
    start: use.commands ? byCommand(server) : { by: 'pg_ctl', binaries: server.binaries },
  });
  const [hostA, hostB] = use.hosts;
  const cluster = {
    nodes: {
      ...{ 'db-a': node(a, 'east', hostA), 'db-b': node(b, 'west', hostB) },
      ...(c ? { 'db-c': node(c, 'north', hostB) } : {}),
    },
    ...{
      connection: { user: 'postgres' },
      replication: { user: 'postgres' },
      limits: { drain: '1s', outage: '5m', look: '2m' },
    },
    ...{ automatic: ['planned', 'unplanned'], ...use.more },
  };
  return {
    switches: { lb: { kind: 'command', ...use.lb.options } },
    services: { web: { source: use.source, traffic: ['lb'], checks: use.checks ?? [], cluster } },
  };
}

export interface Acknowledged {
  id: string;
  /** Name of the server that said so. */
  node: string;
}

const PAUSE_MS = 4;
const READ_ONLY = '25006';

/**
 * Writes to every server that lets it, for as long as it lives, whatever it is told about where clients belong, and remembers in which order
 * they acknowledged: who writes without being allowed to is seen here.
 */
export class Hammer implements AsyncDisposable {
  readonly acknowledged: Acknowledged[] = [];
  readonly #loops: Promise<void>[];
  #stopped = false;
  #paused = false;
  #number = 0;

  constructor(servers: Record<string, TestPostgres>) {
    this.#loops = Object.entries(servers).map(([name, server]) => this.#loop(name, server));
  }

  /** Returns when a server has acknowledged one more. */
  async hits(node: string): Promise<void> {
    const before = this.of(node).length;
    while (this.of(node).length <= before) await sleep(PAUSE_MS);
  }

  /** Nothing is written from here on. */
  pause(): void {
    this.#paused = true;
  }

  of(node: string): string[] {
    return this.acknowledged.filter((each) => each.node === node).map(({ id }) => id);
  }

  /** Servers in the order in which they acknowledged, each once for as long as no other did. */
  turns(): string[] {
    return this.acknowledged.map(({ node }) => node).filter((node, index, all) => node !== all[index - 1]);
  }

  async #loop(name: string, { connection }: TestPostgres): Promise<void> {
    while (!this.#stopped) {
      const client = new pg.Client({ ...connection, connectionTimeoutMillis: 2000, query_timeout: 10_000 });
      client.on('error', () => {});
      try {
        await client.connect();
        await this.#write(name, client);
      } catch {
        // It is down, or has ended the session: the next one will tell.
      } finally {
        await client.end().catch(() => undefined);
      }
      await sleep(PAUSE_MS);
    }
  }

  async #write(name: string, client: pg.Client): Promise<void> {
    while (!this.#stopped) {
      await sleep(PAUSE_MS);
      if (this.#paused) continue;
      const id = `${name}-${++this.#number}`;
      try {
        await client.query('insert into hammer values ($1)', [id]);
        this.acknowledged.push({ id, node: name });
      } catch (error) {
        if ((error as { code?: string }).code !== READ_ONLY) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }
}

/** Ids that a server has. */
export async function hammeredIn(server: TestPostgres): Promise<Set<string>> {
  return new Set((await server.sql('select id from hammer')).map(({ id }) => String(id)));
}

export async function isStandby(server: TestPostgres): Promise<boolean> {
  const [row] = await server.sql('select pg_is_in_recovery() as standby');
  return row?.['standby'] === true;
}
