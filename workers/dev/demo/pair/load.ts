import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { ClusterServer } from './server.ts';

const WRITERS = 4;
/** Between two orders of one writer: what matters is that somebody always writes, not how much. */
const PACE_MS = 12;
/** Before a client that found nobody asks again where to go. */
const AGAIN_MS = 10;
const ANSWER_MS = 5_000;

export interface AcknowledgedOrder {
  id: number;
  /** Server that said so. */
  node: string;
  atMs: number;
}

/** Time without an acknowledged order, for all clients together. */
export interface Gap {
  fromMs: number;
  toMs: number;
}

export interface LoadUse {
  servers: readonly ClusterServer[];
  /** Where clients are sent now; undefined: nowhere. */
  address(): string | undefined;
  logFile: string;
}

/**
 * Clients that write orders where they are sent, all the time, and note each one that a server has acknowledged in a file of
 * their own: that, and nothing of Lifeboat, says later what has to be there.
 */
export class Load implements AsyncDisposable {
  readonly acknowledged: AcknowledgedOrder[] = [];
  readonly #use: LoadUse;
  readonly #log: FileHandle;
  #writing: Promise<void>[] = [];
  #stopped = true;
  #number = 0;

  private constructor(use: LoadUse, log: FileHandle) {
    this.#use = use;
    this.#log = log;
  }

  /** `primary` has the table. */
  static async begin(primary: ClusterServer, use: LoadUse): Promise<Load> {
    await primary.sql('create table orders (id bigint primary key, note text, at timestamptz not null default now())');
    const load = new Load(use, await open(use.logFile, 'a'));
    load.start();
    return load;
  }

  start(): void {
    this.#stopped = false;
    this.#writing = Array.from({ length: WRITERS }, () => this.#writer());
  }

  /** Resolves when no order is on its way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writing);
  }

  /** Resolves when a server has acknowledged one more. */
  async served(by: ClusterServer, signal: AbortSignal): Promise<void> {
    const from = this.acknowledged.length;
    while (!this.acknowledged.slice(from).some(({ node }) => node === by.node))
      await sleep(AGAIN_MS, undefined, { signal });
  }

  /** The longest time without an acknowledged order that touches one between two moments. */
  longestGap(fromMs: number, toMs: number): Gap {
    let longest: Gap = { fromMs, toMs: fromMs };
    let before = fromMs;
    for (const { atMs } of this.acknowledged) {
      if (atMs >= fromMs && atMs - before > longest.toMs - longest.fromMs) longest = { fromMs: before, toMs: atMs };
      if (atMs > toMs) break;
      before = Math.max(before, atMs);
    }
    return longest;
  }

  /** Acknowledged by anybody so far, and not in what a server has. */
  async missingIn(server: ClusterServer, known: ReadonlySet<number> = new Set()): Promise<AcknowledgedOrder[]> {
    const wanted = [...this.acknowledged];
    const rows = await server.sql<{ id: string }>('select id::text as id from orders');
    const there = new Set(rows.map(({ id }) => Number(id)));
    return wanted.filter(({ id }) => !there.has(id) && !known.has(id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#log.close();
  }

  async #writer(): Promise<void> {
    while (!this.#stopped) {
      const address = this.#use.address();
      const server = this.#use.servers.find((each) => each.address === address);
      try {
        if (server) await this.#writeTo(server);
      } catch {
        // It is down, has ended the session, or takes no orders: whether the last one is there nobody has said.
      }
      await sleep(AGAIN_MS);
    }
  }

  async #writeTo(server: ClusterServer): Promise<void> {
    const client = await server.connect({ query_timeout: ANSWER_MS });
    try {
      while (!this.#stopped && this.#use.address() === server.address) {
        await this.#order(client, server);
        await sleep(PACE_MS);
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async #order(client: pg.Client, { node }: ClusterServer): Promise<void> {
    const id = ++this.#number;
    await client.query(`insert into orders (id, note) values ($1, repeat('-', 80))`, [id]);
    const atMs = Date.now();
    this.acknowledged.push({ id, node, atMs });
    await this.#log.write(`${new Date(atMs).toISOString()} ${node} ${id}\n`);
  }
}
