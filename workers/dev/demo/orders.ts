import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import pg from 'pg';
import type { PostgresServer } from '../stack/index.ts';

const WRITERS = 4;
/** Rows that were there before, so that there is something to back up. */
const OLD_ROWS = 40_000;

export interface Disaster {
  /** Transaction of the DELETE. */
  xid: string;
  /** End of its commit record. */
  lsn: string;
  at: string;
  deleted: number;
}

/**
 * Writes orders as fast as the database acknowledges them, and notes the acknowledged ones in a file of its own: that
 * file, and nothing of Lifeboat, says later what has to be there.
 */
export class Orders {
  readonly #server: PostgresServer;
  readonly #log: FileHandle;
  readonly #acknowledged: { id: string; atMs: number }[] = [];
  #writing: Promise<void>[] = [];
  #stopped = true;

  private constructor(server: PostgresServer, log: FileHandle) {
    this.#server = server;
    this.#log = log;
  }

  static async create(server: PostgresServer, logFile: string): Promise<Orders> {
    const orders = new Orders(server, await open(logFile, 'a'));
    await orders.#with(async (client) => {
      await client.query(
        'create table orders (id uuid primary key, amount int not null, note text, at timestamptz not null default now())',
      );
      await client.query('create table products (id int primary key, description text not null)');
      await client.query(
        `insert into products
         select n, (select string_agg(md5(random()::text || n || part), '') from generate_series(1, 24) part)
           from generate_series(1, $1) n`,
        [OLD_ROWS],
      );
    });
    return orders;
  }

  start(): void {
    this.#stopped = false;
    this.#writing = Array.from({ length: WRITERS }, () => this.#write());
  }

  /** Resolves when no order is on its way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writing);
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#log.close();
  }

  /** Acknowledged so far. */
  get acknowledged(): readonly { id: string; atMs: number }[] {
    return this.#acknowledged;
  }

  async #write(): Promise<void> {
    await this.#with(async (client) => {
      while (!this.#stopped) {
        const { rows } = await client.query<{ id: string }>(
          `insert into orders (id, amount, note) values (gen_random_uuid(), (random() * 1000)::int, repeat(md5(random()::text), 8)) returning id`,
        );
        const id = rows[0]?.id ?? '';
        await this.#log.write(`${id}\n`);
        this.#acknowledged.push({ id, atMs: Date.now() });
      }
    });
  }

  /** Somebody forgets the WHERE. */
  deleteAll(): Promise<Disaster> {
    return this.#with(async (client) => {
      await client.query('begin');
      const { rowCount } = await client.query('delete from orders');
      const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
      await client.query('commit');
      const { rows: after } = await client.query<{ lsn: string; at: string }>(
        `select pg_current_wal_insert_lsn()::text as lsn,
                to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
      );
      return { xid: rows[0]?.xid ?? '', lsn: after[0]?.lsn ?? '', at: after[0]?.at ?? '', deleted: rowCount ?? 0 };
    });
  }

  async #with<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const { host, port, user, password, database } = this.#server;
    const client = new pg.Client({ host, port, user, password, database });
    // The connection breaks when the stack is ended while orders are written; the query in flight says so.
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
}

/** Ids of the orders in the recovered cluster. */
export async function recoveredIds(server: PostgresServer, port: number): Promise<string[]> {
  const { user, password, database } = server;
  const client = new pg.Client({ host: '127.0.0.1', port, user, password, database });
  await client.connect();
  try {
    return (await client.query<{ id: string }>('select id::text as id from orders')).rows.map((row) => row.id);
  } finally {
    await client.end();
  }
}
