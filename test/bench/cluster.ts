import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createKeys, newKeysIn } from '../../activities/vault/index.ts';
import { compareLsn, formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { run, serverUser, withPostgres, withServerDir } from '../support/postgres.ts';
import type { Bench } from './engine-job.ts';

const SEGMENT_BYTES = 16 << 20;
const CLIENTS = 4;

export interface Cluster extends Bench {
  server: TestPostgres;
  /** Scratch folder of the benchmark, on the disk of the database and the store. */
  dir: string;
}

const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '1h',
  // What was streamed is replayed later by a plain server too, straight from here.
  wal_keep_size: '64GB',
  autovacuum: 'off',
};

/** A cluster, an empty store and keys; gone afterwards. */
export async function withCluster<T>(
  use: (cluster: Cluster) => Promise<T>,
  settings: Record<string, string> = {},
): Promise<T> {
  return withPostgres({ version: 18, settings: { ...SETTINGS, ...settings } }, (server) =>
    withServerDir(async (dir) => {
      const { connection, binaries } = server;
      process.once('SIGINT', () => void leave(server, dir)).once('SIGTERM', () => void leave(server, dir));
      const keys = join(dir, 'keys');
      await mkdir(keys);
      await createKeys(newKeysIn(keys));
      const runAs = serverUser().name;
      await mkdir(join(dir, 'store'));
      return use({ server, dir, keys, store: join(dir, 'store'), connection, binaries, runAs });
    }),
  );
}

/** Interrupted: the server would outlive us, and with it gigabytes. */
async function leave(server: TestPostgres, dir: string): Promise<void> {
  await server.stop('immediate');
  for (const folder of [dir, dirname(server.dataDir)]) await rm(folder, { recursive: true, force: true });
  process.exit(130);
}

/** Makes pgbench's tables anew. */
export async function fill(cluster: Cluster, scale: number): Promise<{ databaseBytes: number }> {
  const { server } = cluster;
  await pgbench(server, ['-i', '-q', '-s', String(scale)]);
  await server.sql('checkpoint');
  const [row] = await server.sql(`select sum(pg_database_size(oid))::text as bytes from pg_database`);
  return { databaseBytes: Number(row?.['bytes']) };
}

async function pgbench(server: TestPostgres, args: string[]): Promise<void> {
  const { host, port, user, database } = server.connection;
  await run(join(server.binaries, 'pgbench'), ['-h', host, '-p', String(port), '-U', user, ...args, database]);
}

/** Rows that do not compress to nothing, a megabyte of WAL each time; made once, so that writing is all the server does. */
const ROWS = `create unlogged table bench_rows as
  select g as id, md5(random()::text) || repeat(md5(g::text), 15) as body from generate_series(1, 1600) g`;
const WRITE = 'insert into bench_sink select id, body from bench_rows';

/** Several sessions that write as fast as the server takes it. */
export class WriteLoad {
  readonly #server: TestPostgres;
  #working = true;
  readonly #done: Promise<void>[];

  constructor(server: TestPostgres) {
    this.#server = server;
    this.#done = Array.from({ length: CLIENTS }, () => this.#write());
  }

  static async prepare(server: TestPostgres): Promise<void> {
    await server.sql('drop table if exists bench_sink, bench_rows');
    await server.sql('create table bench_sink (id int, body text)');
    await server.sql(ROWS);
  }

  async end(): Promise<void> {
    this.#working = false;
    await Promise.all(this.#done);
  }

  async #write(): Promise<void> {
    const client = await this.#server.connect();
    try {
      while (this.#working) await client.query(WRITE);
    } finally {
      await client.end();
    }
  }
}

export async function flushLsn(server: TestPostgres): Promise<string> {
  return String((await server.sql('select pg_current_wal_flush_lsn()::text as lsn'))[0]?.['lsn']);
}

/** Writes at least so much WAL and ends it on a segment's end, which it returns. */
export async function writeWal(server: TestPostgres, bytes: number): Promise<string> {
  const target = formatLsn(parseLsn(await flushLsn(server)) + BigInt(bytes));
  const load = new WriteLoad(server);
  while (compareLsn(await flushLsn(server), target) < 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await load.end();
  return endSegment(server);
}

/** The server goes on to its next segment; its first byte. */
export async function endSegment(server: TestPostgres): Promise<string> {
  const [row] = await server.sql('select pg_switch_wal()::text as lsn');
  const at = parseLsn(String(row?.['lsn']));
  const size = BigInt(SEGMENT_BYTES);
  return formatLsn(((at + size - 1n) / size) * size);
}
