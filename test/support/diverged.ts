import assert from 'node:assert/strict';
import { runningServer } from '../../activities/io/postgres/server.ts';
import type { Pair } from './failover-pair.ts';
import type { TestPostgres } from './postgres.ts';
import { caughtUp } from './standby.ts';
import { until } from './system-until.ts';

/** The process that takes sessions ends as a host does that loses its power; its children follow. */
export async function killed({ dataDir }: TestPostgres): Promise<void> {
  const pid = await runningServer(dataDir);
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
  await until('it is gone', async () => ((await runningServer(dataDir)) === undefined ? true : undefined));
}

/** From here on a standby gets nothing. */
export async function cutOff({ a, b }: Pair): Promise<void> {
  await caughtUp(a, b);
  await b.sql(`alter system set primary_conninfo = ''`);
  await b.sql('select pg_reload_conf()');
  const receivers = async (): Promise<unknown[]> => b.sql('select 1 from pg_stat_wal_receiver');
  await until('no receiver', async () => ((await receivers()).length === 0 ? true : undefined));
}

/** `a` takes `rows` that `b` never hears of, crashes, and `b` takes its place and goes on. */
export async function diverge({ a, b }: Pair, rows: readonly string[]): Promise<void> {
  await cutOff({ a, b });
  for (const row of rows) await write(a, row);
  await b.sql('select pg_promote()');
  await write(b, `${rows[0]}-new`);
  // As a crash leaves it, but for the lock of its socket.
  await a.stop('immediate');
}

export async function write(server: TestPostgres, row: string): Promise<void> {
  await server.sql(`insert into hammer values ('${row}')`);
}

/** No file of a way back stands beside a data directory. */
export const BESIDE = '.rejoin';
