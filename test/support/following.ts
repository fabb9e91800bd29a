import assert from 'node:assert/strict';
import { plainRun } from '../../activities/io/run.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { Recovery } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import type { OpenEvidence, Proof, RecoveryPlan, ReplayEvidence } from '../../workflows/model/recovery.ts';
import { provenToFollow } from '../../workflows/model/standby.ts';
import type { TestPostgres } from './postgres.ts';
import { withPostgres, withServerDir } from './postgres.ts';
import type { Protected, Sql } from './recovery.ts';
import { protect, sqlOf, valueOf } from './recovery.ts';
import { withTempDir } from './temp-dir.ts';
import { testVault } from './vault.ts';
import type { Relay } from './wal-fetching.ts';
import { startRelay, writeFetchConfig } from './wal-fetching.ts';

/** A primary whose WAL is shipped, and what its standbys fetch with. */
export interface Following {
  server: TestPostgres;
  vault: Vault;
  guard: Protected;
  relay: Relay;
}

/** Who may log in how: everybody, but for the role `follower`, which needs its password. */
const HBA = `local all all trust
host all follower 127.0.0.1/32 scram-sha-256
host replication follower 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
`;

/** With a colon and a backslash: a passfile gives both a meaning. */
export const PASSWORD = 'se:cr\\et';

export async function withFollowing(version: number, callback: (scene: Following) => Promise<void>): Promise<void> {
  await withServerDir((shared) =>
    withPostgres({ version, hba: HBA }, (server) =>
      withTempDir(async (dir) => {
        const place = await testVault(dir);
        await using vault = await place.open();
        await server.sql(`create role follower login replication password '${PASSWORD}'`);
        await server.sql('create table t as select g as id, md5(g::text) as body from generate_series(1, 20000) g');
        const guard = await protect(server, vault);
        await using relay = await startRelay(shared, await writeFetchConfig(dir, place));
        try {
          await callback({ server, vault, guard, relay });
        } finally {
          await guard.stop().catch(() => undefined);
        }
      }),
    ),
  );
}

export interface Standby {
  plan: RecoveryPlan;
  replay: ReplayEvidence;
  open: OpenEvidence;
  proof: Proof;
  sql: Sql;
}

/** All steps, in order; the proof is that of the copy and of the following. `meanwhile`: before the worker lets go of it. */
export async function makeStandby(
  plan: RecoveryPlan,
  vault: Vault,
  { meanwhile, ...options }: PostgresOptions & { meanwhile?: () => Promise<void> },
): Promise<Standby> {
  const recovery = createRecovery('shop', options, plainRun());
  await recovery.check(plan);
  await recovery.prepare(plan);
  await recovery.fetch(plan, await vault.open(plan.base.point));
  await stopped(options, (late) => late.replay(plan, vault.wal));
  const replay = await recovery.replay(plan, vault.wal);
  await meanwhile?.();
  await recovery.open(plan, vault.wal);
  // Its answer was lost.
  const open = await recovery.open(plan, vault.wal);
  const proof = provenToFollow(await recovery.prove(plan, replay), plan, open.follows);
  await recovery.finish(plan);
  assert.deepEqual(
    proof.checks.filter((check) => !check.ok),
    [],
  );
  return { plan, replay, open, proof, sql: sqlOf(plan) };
}

/** An attempt that ends in the middle; it may also have been quicker than that. */
async function stopped(options: PostgresOptions, step: (late: Recovery) => Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  const run = plainRun({ signal: stop.signal, progress: () => stop.abort(new Error('stopped')) });
  await step(createRecovery('shop', options, run)).catch((error: unknown) => assert.match(String(error), /stopped/));
}

/** Waits until a statement on the standby gives this. */
export async function untilSame(sql: Sql, text: string, value: string): Promise<void> {
  for (let looks = 0; looks < 12_000; looks++) {
    const found = await valueOf(sql, text).catch(() => undefined);
    if (found === value) return;
    await new Promise((next) => setTimeout(next, 50));
  }
  assert.equal(await valueOf(sql, text), value);
}
