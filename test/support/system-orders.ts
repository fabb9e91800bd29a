import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestPostgres } from './postgres.ts';

const PAUSE_MS = 15;

export interface Mark {
  /** Ids whose insert the database had acknowledged. */
  acknowledged: ReadonlySet<number>;
  /** A position behind all of them. */
  lsn: string;
}

export interface OrderCount {
  acknowledged: number;
  found: number;
  /** In the copy, and never acknowledged by the source. */
  extra: number;
}

/** Writes one order after the other for as long as it lives, and remembers which of them the database acknowledged. */
export class AcknowledgedOrders implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #acknowledged = new Set<number>();
  #stopped = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async start(server: TestPostgres): Promise<AcknowledgedOrders> {
    const client = await server.connect();
    await client.query('create table orders (id int primary key, note text not null)');
    const orders = new AcknowledgedOrders(client);
    orders.#writing = orders.#write();
    return orders;
  }

  async #write(): Promise<void> {
    for (let id = 1; !this.#stopped; id++) {
      await this.#client.query(`insert into orders values ($1::int, repeat(md5($1::int::text), 4))`, [id]);
      this.#acknowledged.add(id);
      await sleep(PAUSE_MS);
    }
  }

  /** Everything acknowledged before now. */
  async mark(server: TestPostgres): Promise<Mark> {
    const acknowledged = new Set(this.#acknowledged);
    const [row] = await server.sql('select pg_current_wal_insert_lsn()::text as lsn');
    return { acknowledged, lsn: String(row?.['lsn']) };
  }

  /** What of a mark is in a recovered server; `host` is a folder of sockets where it lets nobody in by the other way. */
  async countIn(port: number, mark: Mark, host?: string): Promise<OrderCount> {
    const found = await idsIn(port, host);
    return {
      acknowledged: mark.acknowledged.size,
      found: found.filter((id) => mark.acknowledged.has(id)).length,
      extra: found.filter((id) => !this.#acknowledged.has(id)).length,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#writing;
    await this.#client.end();
  }
}

async function idsIn(port: number, host = '127.0.0.1'): Promise<number[]> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<{ id: number }>('select id from orders')).rows.map(({ id }) => id);
  } finally {
    await client.end();
  }
}
