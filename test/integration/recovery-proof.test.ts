import assert from 'node:assert/strict';
import { open, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { runningServer } from '../../activities/io/postgres/server.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { Proof, RecoveryPlan } from '../../workflows/model/recovery.ts';
import { withPostgres, withServerDir } from '../support/postgres.ts';
import type { Scene } from '../support/recovery.ts';
import { planFor, recoveryOptions, sqlOf, valueOf, withScene } from '../support/recovery.ts';

const PAGE_BYTES = 8192;

/** Recovers, lets `harm` be done to the copy before it is proven, and discards it. */
async function proofOf(
  { server, vault, guard }: Scene,
  use: Partial<RecoveryPlan> & Pick<RecoveryPlan, 'target'>,
  at: { wal?: WalVault; harm?: (plan: RecoveryPlan) => Promise<void> } = {},
): Promise<Proof> {
  const { wal = vault.wal, harm } = at;
  return withServerDir(async (dir) => {
    const plan = await planFor(dir, guard, use);
    const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
    try {
      await recovery.prepare(plan);
      await recovery.fetch(plan, await vault.open(plan.base.point));
      const replay = await recovery.replay(plan, wal);
      await recovery.open(plan, wal);
      await harm?.(plan);
      return await recovery.prove(plan, replay);
    } finally {
      await recovery.discard(plan);
    }
  });
}

function failing(proof: Proof): string[] {
  return proof.checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

/** The vault as it is for somebody to whom what starts behind `lsn` was lost without a trace. */
function cutAt(wal: WalVault, lsn: Lsn): WalVault {
  const before = ({ startLsn }: { startLsn: Lsn }): boolean => compareLsn(startLsn, lsn) < 0;
  return { ...wal, list: async (query) => (await wal.list(query)).filter(before) };
}

test('the newest moment is not proven by a server that did not replay the newest commit', async () => {
  await withScene({ version: 18 }, async (scene) => {
    const { server, vault, guard } = scene;
    await server.sql('create table t (at timestamptz)');
    await server.sql('insert into t values (now())');
    const lsn = await valueOf(server.sql, 'select pg_switch_wal()::text');
    // Farther apart than what the order of commits is allowed to differ by.
    await server.sql('insert into t select now() from pg_sleep(0.1)');
    await server.sql('insert into t select now() from pg_sleep(3)');
    await guard.caughtUp();
    const objects = await vault.wal.list({ systemId: guard.point.systemId });
    const newest = Math.max(...objects.map(({ lastCommitMicros = 0 }) => lastCommitMicros));
    const { window } = await planFor('/nowhere', guard, { target: { kind: 'latest' } });
    const use = {
      target: { kind: 'latest' as const },
      window: { ...window, to: new Date(newest / 1000).toISOString() },
    };
    assert.deepEqual(failing(await proofOf(scene, use)), []);
    assert.deepEqual(failing(await proofOf(scene, use, { wal: cutAt(vault.wal, lsn) })), ['last replayed commit']);
  });
});

/** Changes a byte in the middle of a page of a relation, as a disk may. */
async function damage(plan: RecoveryPlan, relation: string, page: number): Promise<void> {
  const file = await open(join(plan.into, relation), 'r+');
  try {
    const byte = Buffer.alloc(1);
    const at = page * PAGE_BYTES + PAGE_BYTES / 2;
    await file.read(byte, 0, 1, at);
    byte.writeUInt8(byte.readUInt8() ^ 0xff);
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}

/** Who may say tomorrow that another number is the greater one. */
const FICKLE_ORDER = `
  create or replace function fickle_order(int, int) returns int language sql immutable strict as
    'select case when $1 = $2 then 0 when $1 > $2 then 1 else -1 end'`;
const FICKLE = `
  ${FICKLE_ORDER};
  create operator class fickle for type int using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 fickle_order(int, int);
  create table good as select generate_series(1, 1000) as id;
  create index fickle_index on good (id fickle);
  create index good_index on good (id)`;

test('a damaged page of a table is found, although an index knows all that is counted', async () => {
  await withScene(
    {
      version: 18,
      before: async (server) => {
        await server.sql('create table wide (id int primary key, pad text)');
        await server.sql(`insert into wide select g, repeat('x', 1500) from generate_series(1, 5000) g`);
        await server.sql('vacuum (freeze, analyze) wide');
        await server.sql(FICKLE);
      },
    },
    async (scene) => {
      const { server, guard } = scene;
      const plan = await server.sql('explain select count(*) from wide');
      assert.match(JSON.stringify(plan), /Index Only Scan/, 'the case is none');
      const relation = await valueOf(server.sql, `select pg_relation_filepath('wide')`);
      await guard.caughtUp();
      // While it waits in recovery nothing but reading can be asked of it: amcheck cannot be made there.
      const use = { target: { kind: 'immediate' as const }, action: 'pause' as const };
      const proof = await proofOf(scene, use, { harm: (copy) => damage(copy, relation, 7) });
      const reading = 'every relation readable (full scan)';
      assert.ok(failing(proof).includes(reading), JSON.stringify(proof.checks));
      assert.match(proof.checks.find(({ name }) => name === reading)?.found ?? '', /wide.*page/);

      // Open, it is asked for everything, many objects at once: those that are not sound are named, and no others.
      const harm = async (copy: RecoveryPlan): Promise<void> => {
        await damage(copy, relation, 7);
        await sqlOf(copy)(FICKLE_ORDER.replace('>', '<'));
      };
      const open = await proofOf(scene, { target: { kind: 'immediate' } }, { harm });
      const told = open.checks.find(({ name }) => name.startsWith('every relation readable (amcheck'));
      assert.equal(told?.ok, false, JSON.stringify(open.checks));
      assert.match(told?.found ?? '', /public\.wide: .*page/);
      assert.match(told?.found ?? '', /fickle_index: .*order/);
      assert.doesNotMatch(told?.found ?? '', /public\.good|good_index|pg_catalog/);
    },
  );
});

test('a server is known by its data directory, by whatever way that is reached', async () => {
  await withPostgres({ version: 18 }, async ({ dataDir, stop }) => {
    const pid = await runningServer(dataDir);
    assert.ok(pid !== undefined);
    const link = join(dirname(dataDir), 'elsewhere');
    await symlink(dataDir, link);
    assert.equal(await runningServer(link), pid);
    await stop('immediate');
    assert.equal(await runningServer(link), undefined);
  });
});
