import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestPostgres } from '../../support/postgres.ts';
import { run } from '../../support/postgres.ts';

const BLOCK_BYTES = 8192;
/** 16 blocks next to each other: what differs lies in places, not in every block. */
const STRETCH_BYTES = 16 * BLOCK_BYTES;
const EVERY_STRETCH = 20;

/** What every restored database is asked for. */
export async function mark(server: TestPostgres): Promise<void> {
  await server.sql('create table if not exists bench_marks (at timestamptz default now())');
  await server.sql('insert into bench_marks default values');
}

/** One row of a hundred, a thousand neighbours at a time, others with each turn; on the disk when it returns. */
export async function changeRows(server: TestPostgres, turn: number): Promise<void> {
  await server.sql(
    `update pgbench_accounts set abalance = abalance + 1 where (aid / least(1000, 1 + (select max(aid) / 1000 from pgbench_accounts))) % 100 = ${turn % 100}`,
  );
  await server.sql('checkpoint');
}

/**
 * 5 % of the bytes of every large file become others: one stretch of twenty. All of them are in the page cache afterwards, as those of
 * a server that has just been stopped are, whether who restored them left them there or not.
 */
export async function spoil(folder: string): Promise<void> {
  await overStretches(folder, async (file, at) => {
    await file.write(NOISE, 0, STRETCH_BYTES, at);
  });
  await run('bash', ['-c', 'sync -f "$1" && find "$1" -type f -exec cat {} + >/dev/null', 'bash', folder]);
}

/** Throws when a stretch is still as `spoil` left it. */
export async function refuseSpoilt(folder: string): Promise<void> {
  const found = Buffer.alloc(STRETCH_BYTES);
  await overStretches(folder, async (file, at) => {
    await file.read(found, 0, STRETCH_BYTES, at);
    if (found.equals(NOISE))
      throw new Error(`what was restored below ${folder} still has bytes that were changed on purpose`);
  });
}

const NOISE = Buffer.alloc(STRETCH_BYTES, 'what is not in the backup ');

async function overStretches(folder: string, use: (file: FileHandle, at: number) => Promise<void>): Promise<void> {
  const found = await run('find', [join(folder, 'base'), '-type', 'f', '-size', `+${STRETCH_BYTES}c`]);
  for (const path of found.split('\n').filter(Boolean)) {
    await using file = await open(path, 'r+');
    const { size } = await file.stat();
    for (let at = 0; at + STRETCH_BYTES <= size; at += STRETCH_BYTES * EVERY_STRETCH) await use(file, at);
  }
}

const BATCH = 1000;

/** Tables of one block each and nothing else. */
export async function makeSmallRelations(server: TestPostgres, count: number): Promise<void> {
  await server.sql('drop table if exists pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers');
  await server.sql('drop table if exists bench_sink, bench_rows');
  const client = await server.connect();
  try {
    for (let from = 0; from < count; from += BATCH) {
      await client.query(`do $$ begin
        for n in ${from}..${Math.min(count, from + BATCH) - 1} loop
          execute format('create table bench_small_%s as select %s as id', n, n);
        end loop; end $$`);
    }
    await client.query('checkpoint');
  } finally {
    await client.end();
  }
}
