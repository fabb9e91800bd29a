import { join } from 'node:path';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { MatchedSettings, PointSummary } from '../../workflows/model/manifest.ts';
import type { Proof, RecoveryPlan, ReplayEvidence } from '../../workflows/model/recovery.ts';
import type { Target } from '../../workflows/model/target.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { TestPostgres } from './postgres.ts';
import { freePort, serverUser } from './postgres.ts';

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

/** Ships WAL in the background and takes one published base backup. */
export async function protect(server: TestPostgres, vault: Vault, pointId = 'p1'): Promise<Protected> {
  const options = recoveryOptions(server);
  const stopper = new AbortController();
  const shipping = createLogShipping('shop', options, plainRun({ signal: stopper.signal }));
  const shipped = shipping.ship(vault.wal, {
    shipEveryMs: 50,
    heartbeatEveryMs: 200,
    spoolBytes: 64 << 20,
    slot: 'lifeboat_shop',
    acceptGap: false,
  });
  shipped.catch(() => undefined);
  const point = await backupPoint(server, vault, pointId);
  const caughtUp = async (): Promise<void> => {
    const lsn = String((await server.sql('select pg_current_wal_flush_lsn()::text as lsn'))[0]?.['lsn']);
    for (;;) {
      const ranges = rangesOf(await vault.wal.list({ systemId: point.systemId }));
      if (compareLsn(ranges.at(-1)?.endLsn ?? '0/0', lsn) >= 0) return;
      const ended = await Promise.race([
        shipped.then(() => true),
        new Promise<false>((resolve) => setTimeout(resolve, 20, false)),
      ]);
      if (ended) throw new Error('shipping ended');
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
