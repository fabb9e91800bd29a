import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { TestPostgres } from '../../support/postgres.ts';

const PAUSE_MS = 25;
const RETRY_MS = 100;

/** Ids up to which the database has acknowledged all that was not refused, and up to which any was tried. */
export interface Seen {
  acknowledged: number;
  started: number;
}

/** Writes one order after the other beside everything else, whatever becomes of the server, and knows what it acknowledged. */
export class Orders implements AsyncDisposable {
  readonly #server: TestPostgres;
  readonly #refused = new Set<number>();
  #seen: Seen = { acknowledged: 0, started: 0 };
  #client: pg.Client | undefined;
  #stopped = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(server: TestPostgres) {
    this.#server = server;
  }

  static async start(server: TestPostgres): Promise<Orders> {
    await server.sql('create table orders (id int primary key, note text not null)');
    const orders = new Orders(server);
    orders.#writing = orders.#write();
    return orders;
  }

  get seen(): Seen {
    return this.#seen;
  }

  /** Never acknowledged, and not there when it was looked for: none of them may come back. */
  get refused(): ReadonlySet<number> {
    return this.#refused;
  }

  async #write(): Promise<void> {
    for (let id = 1; !this.#stopped; id++) {
      this.#seen = { ...this.#seen, started: id };
      if (!(await this.#insert(id)) && !(await this.#isThere(id))) this.#refused.add(id);
      this.#seen = { acknowledged: id, started: id };
      await sleep(PAUSE_MS);
    }
    await this.#client?.end();
  }

  async #insert(id: number): Promise<boolean> {
    try {
      this.#client ??= await this.#server.connect();
      await this.#client.query(`insert into orders values ($1::int, repeat(md5($1::int::text), 4))`, [id]);
      return true;
    } catch {
      this.#client = undefined;
      return false;
    }
  }

  /** The answer was lost with the connection: the database itself says what became of it. */
  async #isThere(id: number): Promise<boolean> {
    while (!this.#stopped) {
      try {
        this.#client ??= await this.#server.connect();
        return (await this.#client.query('select from orders where id = $1', [id])).rowCount === 1;
      } catch {
        this.#client = undefined;
        await sleep(RETRY_MS);
      }
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#writing.catch(() => undefined);
  }
}

/** What is wrong with the orders of a copy; nothing, when it has all that it must have and none that it must not. */
export function wrongOrders(
  found: readonly number[],
  { must, may, refused }: { must: number; may: number; refused: ReadonlySet<number> },
): string[] {
  const have = new Set(found);
  const wrong: string[] = [];
  const missing: number[] = [];
  for (let id = 1; id <= must; id++) if (!have.has(id) && !refused.has(id)) missing.push(id);
  if (missing.length > 0) wrong.push(`${missing.length} acknowledged orders are missing: ${shown(missing)}`);
  const late = found.filter((id) => id > may);
  if (late.length > 0) wrong.push(`${late.length} orders are newer than the moment: ${shown(late)}`);
  const extra = found.filter((id) => refused.has(id));
  if (extra.length > 0) wrong.push(`${extra.length} orders were never acknowledged: ${shown(extra)}`);
  return wrong;
}

function shown(ids: readonly number[]): string {
  return `${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ', ...' : ''}`;
}
