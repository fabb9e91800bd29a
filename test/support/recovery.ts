import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { ShipOptions } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { MatchedSettings, PointSummary } from '../../workflows/model/manifest.ts';
import type { Proof, RecoveryPlan, ReplayEvidence } from '../../workflows/model/recovery.ts';
import type { Target } from '../../workflows/model/target.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { TestPostgres } from './postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { run as runAsServer, serverUser, withPostgres, withServerDir } from './postgres.ts';
import type { TestPostgresOptions } from './postgres.ts';
import { withTempDir } from './temp-dir.ts';
import type { TestVault } from './vault.ts';
import { testVault } from './vault.ts';

export function recoveryOptions(server: TestPostgres, overrides: Record<string, unknown> = {}): PostgresOptions {
  const { name } = serverUser();
  return postgresSchema.parse({
    connection: server.connection,
    restore: { binaries: server.binaries, runAs: name },
    ...overrides,
  });
}

export interface Protected {
  point: PointSummary;
  settings: MatchedSettings;
  /** Waits until the vault holds everything the server has flushed. */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
}

export const SHIP: ShipOptions = {
  shipEveryMs: 50,
  heartbeatEveryMs: 200,
  spoolBytes: 64 << 20,
  slot: 'lifeboat_shop',
};

/** Ships WAL in the background and takes one published base backup. */
export async function protect(
  server: TestPostgres,
  vault: Vault,
  use: { pointId?: string; ship?: Partial<ShipOptions> } = {},
): Promise<Protected> {
  const stopper = new AbortController();
  const shipping = createLogShipping('shop', recoveryOptions(server), plainRun({ signal: stopper.signal }));
  const shipped = shipping.ship(vault.wal, { ...SHIP, ...use.ship });
  shipped.catch(() => undefined);
  try {
    return await guardOf(server, { vault, shipped, stopper, pointId: use.pointId ?? 'p1' });
  } catch (error) {
    stopper.abort(new Error('stopped'));
    await shipped.catch(() => undefined);
    throw error;
  }
}

/** The slot keeps WAL from here on: a checkpoint can take nothing away any more. */
async function slotInUse(server: TestPostgres, shipped: Promise<unknown>): Promise<void> {
  for (let active = false; !active;) {
    const rows = await server.sql(`select 1 from pg_replication_slots where slot_name = '${SHIP.slot}' and active`);
    active = rows.length > 0;
    if (!active) await orEnded(shipped, 20);
  }
}

/** Waits a moment; the shipping ending first is a failure of the test. */
export async function orEnded(shipped: Promise<unknown>, waitMs: number): Promise<void> {
  const pause = new Promise<false>((resolve) => setTimeout(resolve, waitMs, false));
  if (await Promise.race([shipped.then(() => true), pause])) throw new Error('shipping ended');
}

interface Guarding {
  vault: Vault;
  shipped: Promise<unknown>;
  stopper: AbortController;
  pointId: string;
}

async function guardOf(server: TestPostgres, at: Guarding): Promise<Protected> {
  const { vault, shipped, stopper, pointId } = at;
  await slotInUse(server, shipped);
  const point = await backupPoint(server, vault, pointId);
  const caughtUp = async (): Promise<void> => {
    const lsn = String((await server.sql('select pg_current_wal_flush_lsn()::text as lsn'))[0]?.['lsn']);
    for (;;) {
      const ranges = rangesOf(await vault.wal.list({ systemId: point.systemId }));
      if (compareLsn(ranges.at(-1)?.endLsn ?? '0/0', lsn) >= 0) return;
      await orEnded(shipped, 20);
    }
  };
  await caughtUp();
  return {
    ...{ point, caughtUp, settings: (await vault.open(pointId)).manifest.settings },
    stop: async () => {
      stopper.abort(new Error('stopped'));
      await shipped;
    },
  };
}

export async function backupPoint(server: TestPostgres, vault: Vault, pointId: string): Promise<PointSummary> {
  await using draft = await vault.begin(pointId);
  const facts = await takeBackup(recoveryOptions(server), {
    out: draft,
    backup: { checkpoint: 'fast', label: 'test' },
    run: plainRun(),
  });
  await draft.finish(facts);
  return vault.publish(pointId);
}

export async function planFor(
  dir: string,
  guard: Pick<Protected, 'point' | 'settings'>,
  use: { target: Target } & Partial<RecoveryPlan>,
): Promise<RecoveryPlan> {
  const { point, settings } = guard;
  return {
    run: 'run-1',
    source: 'shop',
    host: 'here',
    base: point,
    timelineChoice: 'latest',
    timeline: point.timeline,
    action: 'promote',
    legs: [],
    into: join(dir, 'restored'),
    port: await freePort(),
    tablespaces: {},
    settings,
    estimate: { fetchBytes: point.bytes, storedBytes: point.storedBytes, walBytes: 0, seconds: 1 },
    window: {
      point: point.point,
      timeline: point.timeline,
      fromLsn: point.stopLsn,
      toLsn: point.stopLsn,
      from: point.stoppedAt,
    },
    decidedAt: point.stoppedAt,
    ...use,
  };
}

export interface Recovered {
  replay: ReplayEvidence;
  proof: Proof;
}

/** All steps of a recovery, in order. */
export async function recover(
  server: TestPostgres,
  use: { vault: Vault; plan: RecoveryPlan; run?: Run; options?: PostgresOptions },
): Promise<Recovered> {
  const { vault, plan, run = plainRun(), options = recoveryOptions(server) } = use;
  const recovery = createRecovery('shop', options, run);
  await recovery.prepare(plan);
  await recovery.fetch(plan, await vault.open(plan.base.point));
  const replay = await recovery.replay(plan, vault.wal);
  await recovery.open(plan, vault.wal);
  const proof = await recovery.prove(plan, replay);
  await recovery.finish(plan);
  return { replay, proof };
}

export type Sql = (text: string, database?: string) => Promise<Record<string, unknown>[]>;

export interface Scene {
  server: TestPostgres;
  vault: Vault;
  guard: Protected;
  /** What the vault stands on. */
  place: TestVault;
}

/** A server whose WAL is shipped, with a base that holds what `before` made. */
export async function withScene(
  use: TestPostgresOptions & { before?: (server: TestPostgres) => Promise<unknown>; ship?: Partial<ShipOptions> },
  callback: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withPostgres(use, async (server) => {
    await withTempDir(async (dir) => {
      const place = await testVault(dir);
      await using vault = await place.open();
      await use.before?.(server);
      const guard = await protect(server, vault, use.ship ? { ship: use.ship } : {});
      try {
        await callback({ server, vault, guard, place });
      } finally {
        await guard.stop().catch(() => undefined);
      }
    });
  });
}

export interface Restored extends Recovered {
  plan: RecoveryPlan;
  sql: Sql;
}

type RestoreUse = { target: Target } & Partial<RecoveryPlan> & { options?: PostgresOptions };

/** Recovers beside the source, hands over the proven copy, and discards it; nothing of it may remain. */
export async function withRestored(
  scene: Pick<Scene, 'server' | 'vault' | 'guard'>,
  use: RestoreUse,
  callback: (copy: Restored) => Promise<void>,
): Promise<void> {
  const { options = recoveryOptions(scene.server), ...wanted } = use;
  await withServerDir(async (dir) => {
    const plan = await planFor(dir, scene.guard, wanted);
    try {
      const recovered = await recover(scene.server, { vault: scene.vault, plan, options });
      const wrong = recovered.proof.checks.filter((check) => !check.ok);
      assert.deepEqual(wrong, [], JSON.stringify(recovered.replay));
      await callback({ ...recovered, plan, sql: sqlOf(plan) });
    } finally {
      await createRecovery('shop', options, plainRun()).discard(plan);
    }
    assert.ok(!existsSync(plan.into) && !existsSync(`${plan.into}.lifeboat`), 'discard left something');
  });
}

/** Superuser statements on a recovered server. */
export function sqlOf(plan: { port: number }): Sql {
  return async (text, database = 'postgres') => {
    const client = new pg.Client({ host: '127.0.0.1', port: plan.port, user: 'postgres', database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
}

export async function valueOf(sql: Sql, text: string, database?: string): Promise<string> {
  return String(Object.values((await sql(text, database))[0] ?? {})[0]);
}

/** The server's clock, as a target is written. */
export function timeOf(sql: Sql): Promise<string> {
  return valueOf(sql, `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
}

/** MD5 over the sorted rows of every user table of a database, by name: asked of the source at the target, and of the copy. */
export async function tableSums(sql: Sql, database = 'postgres'): Promise<Record<string, string>> {
  const tables = await sql(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    database,
  );
  const sums: Record<string, string> = {};
  for (const { name } of tables) {
    sums[String(name)] = await valueOf(
      sql,
      `select count(*) || ':' || coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') from ${String(name)} t`,
      database,
    );
  }
  return sums;
}

/** A streaming standby of `primary` on a port of its own; the caller stops it. */
export async function standbyOf(primary: TestPostgres, dataDir: string): Promise<TestPostgres> {
  const { binaries, connection } = primary;
  const port = await freePort();
  await runAsServer(join(binaries, 'pg_basebackup'), [
    ...['-h', connection.host, '-p', String(connection.port), '-U', connection.user],
    ...['-D', dataDir, '-R', '-X', 'stream', '-c', 'fast'],
  ]);
  await appendFile(join(dataDir, 'postgresql.auto.conf'), `port = ${port}\n`);
  const control = async (...args: string[]): Promise<void> => {
    await runAsServer(join(binaries, 'pg_ctl'), ['-D', dataDir, '-w', ...args]);
  };
  const start = (): Promise<void> => control('-l', `${dataDir}.log`, 'start');
  await start();
  return {
    ...primary,
    ...{ dataDir, port, start, sql: sqlOf({ port }), connection: { ...connection, port } },
    stop: (mode = 'fast') => control('-m', mode, 'stop'),
  };
}
