import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { Recovery, WalVault } from '../../activities/sources/source.ts';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn, formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { Proof, RecoveryPlan } from '../../workflows/model/recovery.ts';
import type { Target } from '../../workflows/model/target.ts';
import { withServerDir } from '../support/postgres.ts';
import type { TestPostgresOptions } from '../support/postgres.ts';
import { planFor, recoveryOptions, sqlOf, timeOf, valueOf, withScene } from '../support/recovery.ts';
import type { Scene } from '../support/recovery.ts';

const BLOCK = 8192;

interface Fetched {
  plan: RecoveryPlan;
  recovery: Recovery;
}

async function withFetched(scene: Scene, target: Target, callback: (at: Fetched) => Promise<void>): Promise<void> {
  await withServerDir(async (dir) => {
    const plan = await planFor(dir, scene.guard, { target });
    const recovery = createRecovery('shop', recoveryOptions(scene.server), plainRun());
    try {
      await recovery.prepare(plan);
      await recovery.fetch(plan, await scene.vault.open(plan.base.point));
      await callback({ plan, recovery });
    } finally {
      await recovery.discard(plan);
    }
  });
}

async function spoil(path: string, at: number, change: (bytes: Buffer) => void): Promise<void> {
  const file = await open(path, 'r+');
  const bytes = Buffer.alloc(64);
  await file.read(bytes, 0, bytes.length, at);
  change(bytes);
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

const damages: [string, TestPostgresOptions, string, number][] = [
  ['a table with page checksums', { version: 18 }, 'orders', 2 * BLOCK + 1000],
  ['an index with page checksums', { version: 18 }, 'orders_pkey', 2 * BLOCK + 1000],
  ['a table without page checksums', { version: 15 }, 'orders', 3 * BLOCK - 64],
  ['an index without page checksums', { version: 15 }, 'orders_pkey', BLOCK + 24],
];

for (const [name, use, relation, offset] of damages) {
  test(`a damaged page of ${name} fails the proof, which names it`, async () => {
    const before = async ({ sql }: Scene['server']): Promise<void> => {
      await sql('create table orders (id int primary key, body text)');
      await sql(`insert into orders select g, md5(g::text) from generate_series(1, 20000) g`);
    };
    await withScene({ ...use, before }, async (scene) => {
      const path = await valueOf(scene.server.sql, `select pg_relation_filepath('${relation}')`);
      await withFetched(scene, { kind: 'immediate' }, async ({ plan, recovery }) => {
        await spoil(join(plan.into, path), offset, (bytes) => bytes.fill(0xff));
        const replay = await recovery.replay(plan, scene.vault.wal);
        await recovery.open(plan, scene.vault.wal);
        const proof: Proof = await recovery.prove(plan, replay);
        assert.equal(proof.ok, false);
        const found = proof.checks.filter((check) => !check.ok).map((check) => check.found);
        assert.match(found.join('\n'), new RegExp(`\\b${relation}\\b`));
      });
    });
  });
}

test('a database that was being dropped at the target fails the proof, which names it', async () => {
  const before = ({ sql }: Scene['server']): Promise<unknown> => sql('create database gone');
  await withScene({ version: 18, before, ship: { heartbeatEveryMs: 0 } }, async (scene) => {
    const time = await timeOf(scene.server.sql);
    await scene.server.sql('drop database gone');
    await scene.guard.caughtUp();
    await withFetched(scene, { kind: 'time', time, inclusive: true }, async ({ plan, recovery }) => {
      const replay = await recovery.replay(plan, scene.vault.wal);
      await recovery.open(plan, scene.vault.wal);
      const proof = await recovery.prove(plan, replay);
      assert.equal(proof.ok, false);
      const found = proof.checks.filter((check) => !check.ok).map((check) => check.found);
      assert.match(found.join('\n'), /gone: is invalid.*earlier target/);
    });
  });
});

/** Many segments of WAL with a row and a restore point in each. */
async function manySegments(scene: Scene): Promise<string[]> {
  const { sql } = scene.server;
  await sql('create table t (id int primary key)');
  const starts: string[] = [];
  for (let id = 1; id <= 6; id++) {
    starts.push(await valueOf(sql, 'select pg_current_wal_insert_lsn()'));
    await sql(`insert into t values (${id})`);
    await sql(`select pg_create_restore_point('after ${id}')`);
    await sql('select pg_switch_wal()');
  }
  await scene.guard.caughtUp();
  await scene.guard.stop();
  return starts;
}

/** The vault's objects of the segment that `lsn` is in are gone. */
async function loseSegment(scene: Scene, lsn: string): Promise<void> {
  const segment = parseLsn(lsn) - (parseLsn(lsn) % BigInt(16 << 20));
  const { systemId } = scene.guard.point;
  const end = formatLsn(segment + BigInt(16 << 20));
  let removed = 0;
  for (const object of await scene.vault.wal.list({ systemId })) {
    if (compareLsn(object.startLsn, formatLsn(segment)) < 0 || compareLsn(object.endLsn, end) > 0) continue;
    await scene.vault.wal.remove(object);
    removed += 1;
  }
  assert.ok(removed > 0);
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a WAL segment that is missing is a failure, not an early end`, async () => {
    await withScene({ version }, async (scene) => {
      const starts = await manySegments(scene);
      const time = await timeOf(scene.server.sql);
      await loseSegment(scene, starts[3] ?? '');
      const beyond: Target[] = [
        { kind: 'latest' },
        { kind: 'name', name: 'after 5' },
        { kind: 'time', time, inclusive: true },
      ];
      for (const target of beyond) {
        await withFetched(scene, target, async ({ plan, recovery }) => {
          await assert.rejects(recovery.replay(plan, scene.vault.wal), (error) => {
            assert.equal(failureTypeOf(error), 'Integrity', String(error));
            assert.match(String(error), /although the vault holds later WAL/);
            return true;
          });
        });
      }
      await withFetched(scene, { kind: 'name', name: 'after 2' }, async ({ plan, recovery }) => {
        const replay = await recovery.replay(plan, scene.vault.wal);
        await recovery.open(plan, scene.vault.wal);
        assert.ok((await recovery.prove(plan, replay)).ok);
        assert.deepEqual(await sqlOf(plan)('select id from t order by 1'), [{ id: 1 }, { id: 2 }]);
      });
    });
  });
}

test('WAL of the base backup itself is missing: the recovery fails and says so', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { point } = scene.guard;
    await manySegments(scene);
    await loseSegment(scene, point.startLsn);
    await withFetched(scene, { kind: 'latest' }, async ({ plan, recovery }) => {
      await assert.rejects(recovery.replay(plan, scene.vault.wal), (error) => {
        assert.equal(failureTypeOf(error), 'Integrity', String(error));
        return true;
      });
    });
  });
});

test('a store that cannot be asked is waited for, and never taken for the end of WAL', async () => {
  await withScene({ version: 18 }, async (scene) => {
    await manySegments(scene);
    const { wal } = scene.vault;
    let calls = 0;
    const flaky = async <T>(work: () => Promise<T>): Promise<T> => {
      if (++calls % 3 === 1) throw failure('Unavailable', 'store is away', { place: 'store' });
      return work();
    };
    const away: WalVault = {
      ...wal,
      read: (object) => flaky(() => wal.read(object)),
    };
    await withFetched(scene, { kind: 'latest' }, async ({ plan, recovery }) => {
      const replay = await recovery.replay(plan, away);
      assert.ok(calls > 6, `${calls} calls`);
      await recovery.open(plan, wal);
      assert.ok((await recovery.prove(plan, replay)).ok);
      assert.equal(await valueOf(sqlOf(plan), 'select count(*) from t'), '6');
      assert.match(await readFile(join(plan.into, 'postgresql.auto.conf'), 'utf8'), /archive_mode = 'off'/);
    });
  });
});
