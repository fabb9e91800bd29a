import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { ShipOptions, WalVault } from '../../activities/sources/source.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { withPostgres } from './postgres.ts';
import type { TestPostgres, TestPostgresOptions } from './postgres.ts';
import { SHIP, recoveryOptions, valueOf } from './recovery.ts';
import { withTempDir } from './temp-dir.ts';
import type { TestVault } from './vault.ts';
import { testVault } from './vault.ts';

/** WAL of a test server on its way into a vault. */
export interface WalStream {
  ended: Promise<unknown>;
  stop(): Promise<void>;
}

export function ship(
  server: TestPostgres,
  wal: WalVault,
  use: { ship?: Partial<ShipOptions>; run?: Partial<Run> } = {},
): WalStream {
  const stopper = new AbortController();
  const run = plainRun({ ...use.run, signal: stopper.signal });
  const options = { ...SHIP, ...use.ship };
  const begin = () => createLogShipping('shop', recoveryOptions(server), run).ship(wal, options);
  // A server that cannot say is for the stream to meet.
  const ended = free(server, options.slot).then(begin, begin);
  ended.catch(() => undefined);
  const stream = {
    ended,
    stop: async () => {
      stopper.abort(new Error('stopped'));
      await ended.catch(() => undefined);
    },
  };
  started.push(stream);
  return stream;
}

/** A server notices a moment after its client that a stream has ended, and refuses the slot until then. */
async function free(server: TestPostgres, slot: string): Promise<void> {
  const active = `select count(*) from pg_replication_slots where active and slot_name = '${slot}'`;
  const until = Date.now() + 5000;
  while ((await valueOf(server.sql, active)) !== '0' && Date.now() < until);
}

/** Of the present test: whatever it fails with, none of them stays. */
const started: WalStream[] = [];

export interface Shipped {
  server: TestPostgres;
  wal: WalVault;
  /** System identifier. */
  id: string;
  /** What the vault stands on. */
  place: TestVault;
}

/** A server and an empty vault; streams that the test started have ended when it has. */
export async function withWal(options: TestPostgresOptions, callback: (at: Shipped) => Promise<void>): Promise<void> {
  await withPostgres(options, async (server) => {
    await withTempDir(async (dir) => {
      const place = await testVault(dir);
      await using vault = await place.open();
      const id = await valueOf(server.sql, 'select system_identifier from pg_control_system()');
      await server.sql('create table t (id serial, body text)');
      try {
        await callback({ server, wal: vault.wal, id, place });
      } finally {
        for (const stream of started.splice(0)) await stream.stop();
      }
    });
  });
}

export const load = (server: TestPostgres, rows: number): Promise<unknown> =>
  server.sql(`insert into t (body) select repeat(md5(g::text), 8) from generate_series(1, ${rows}) g`);

export const flushed = (server: TestPostgres): Promise<string> =>
  valueOf(server.sql, 'select pg_current_wal_flush_lsn()');

export const kept = (server: TestPostgres): Promise<string> =>
  valueOf(server.sql, `select restart_lsn from pg_replication_slots where slot_name = '${SHIP.slot}'`);

export async function newest(wal: WalVault, id: string): Promise<string> {
  return rangesOf(await wal.list({ systemId: id })).at(-1)?.endLsn ?? '0/0';
}

/** Waits until `ready`, while the stream runs; its own failure ends the wait. */
export async function until(stream: WalStream, ready: () => Promise<boolean>): Promise<void> {
  while (!(await ready())) {
    const pause = new Promise<false>((resolve) => setTimeout(resolve, 20, false));
    if (await Promise.race([stream.ended.then(() => true), pause])) throw new Error('shipping ended');
  }
}

export async function covers(stream: WalStream, at: Shipped): Promise<void> {
  const lsn = await flushed(at.server);
  await until(stream, async () => compareLsn(await newest(at.wal, at.id), lsn) >= 0);
}

export async function released(server: TestPostgres): Promise<void> {
  while ((await valueOf(server.sql, `select count(*) from pg_replication_slots where active`)) !== '0');
}

/** Settings of a server whose segments go as soon as they may. */
export const FORGETFUL = {
  ...{ max_slot_wal_keep_size: '32MB', wal_keep_size: '0' },
  ...{ max_wal_size: '64MB', min_wal_size: '32MB' },
};

/** Writes until the server has dropped what our slot stands at; nothing may be streaming. */
export async function loseWal(server: TestPostgres): Promise<void> {
  await released(server);
  const lost = `select wal_status from pg_replication_slots where slot_name = '${SHIP.slot}'`;
  while ((await valueOf(server.sql, lost)) !== 'lost') {
    await load(server, 40_000);
    await server.sql('checkpoint');
  }
}

/** The failure that a stream ends with; one that stores something goes on instead. */
export async function failureOf(stream: WalStream, at: Shipped): Promise<unknown> {
  const before = await newest(at.wal, at.id);
  const ended = stream.ended.then(
    () => ({ error: new Error('shipping ended well') as unknown }),
    (error: unknown) => ({ error }),
  );
  for (;;) {
    const pause = new Promise<undefined>((resolve) => setTimeout(resolve, 20, undefined));
    const seen = await Promise.race([ended, pause]);
    if (seen) return seen.error;
    if ((await newest(at.wal, at.id)) !== before) throw new Error('shipping goes on');
  }
}
