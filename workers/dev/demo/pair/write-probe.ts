import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { ClusterServer } from './server.ts';

const EVERY_MS = 50;
/** Somebody who waits longer is not served. */
const ANSWER_MS = 1_000;

/** From the first write that a server took to the last, with none between them that it refused. */
export interface WriterSpan {
  node: string;
  fromMs: number;
  toMs: number;
}

/**
 * Tries to write to every server each 50 ms, whatever anybody says of where clients belong: who takes writes is seen here, and whether it
 * was ever more than one.
 */
export class WriteProbe implements AsyncDisposable {
  readonly spans: WriterSpan[] = [];
  /** Looks at all servers so far. */
  looks = 0;
  readonly #loops: Promise<void>[];
  #stopped = false;

  private constructor(servers: readonly ClusterServer[]) {
    this.#loops = servers.map((server, index) => this.#look(server, index === 0));
  }

  static async begin(primary: ClusterServer, servers: readonly ClusterServer[]): Promise<WriteProbe> {
    await primary.sql('create table write_probe (node text primary key, tries bigint not null)');
    return new WriteProbe(servers);
  }

  /** Servers that took writes at the same moment, the most there ever were. */
  most(): number {
    return mostAtOnce(this.spans);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #look(server: ClusterServer, counts: boolean): Promise<void> {
    let client: pg.Client | undefined;
    let span: WriterSpan | undefined;
    while (!this.#stopped) {
      const sentMs = Date.now();
      try {
        client ??= await server.connect(SESSION);
        await client.query(WRITE, [server.node]);
        if (!span) this.spans.push((span = { node: server.node, fromMs: sentMs, toMs: sentMs }));
        span.toMs = Date.now();
      } catch (error) {
        span = undefined;
        if ((error as { code?: string }).code !== READ_ONLY) {
          void client?.end().catch(() => undefined);
          client = undefined;
        }
      }
      if (counts) this.looks += 1;
      await sleep(Math.max(0, EVERY_MS - (Date.now() - sentMs)));
    }
    await client?.end().catch(() => undefined);
  }
}

export function mostAtOnce(spans: readonly WriterSpan[]): number {
  const edges = spans.flatMap(({ fromMs, toMs }) => [
    { atMs: fromMs, by: 1 },
    { atMs: toMs, by: -1 },
  ]);
  let [now, most] = [0, 0];
  // At one moment those who begin come first: it is the stricter way to count.
  for (const { by } of edges.toSorted((a, b) => a.atMs - b.atMs || b.by - a.by)) most = Math.max(most, (now += by));
  return most;
}

/** Without a standby to wait for: that it was written here is what counts. */
const SESSION = {
  ...{ query_timeout: ANSWER_MS, connectionTimeoutMillis: ANSWER_MS },
  options: '-c synchronous_commit=local',
};
const WRITE = `
  insert into write_probe as p (node, tries) values ($1, 1) on conflict (node) do update set tries = p.tries + 1`;
/** read_only_sql_transaction */
const READ_ONLY = '25006';
