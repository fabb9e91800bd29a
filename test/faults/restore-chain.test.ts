import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { PointReader } from '../../activities/sources/source.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { Manifest, PointSummary } from '../../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { combinedByServer, sumsOf, SUMMARIZING, takePoint } from '../support/chains.ts';
import { fetchUntil } from '../support/fetching.ts';
import { serverUser, withPostgres, withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { planFor, recoveryOptions } from '../support/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { testVault } from '../support/vault.ts';

const CHAIN = ['p1', 'p2', 'p3'];

interface World {
  server: TestPostgres;
  vault: Vault;
  dir: string;
}

/** A full point and two on top of it, with files of changed blocks that stand in several parts. */
async function withChain(callback: (world: World & { newest: PointSummary }) => Promise<void>): Promise<void> {
  await withPostgres({ version: 18, settings: SUMMARIZING }, async (server) => {
    await withTempDir(async (dir) => {
      await using vault = await (await testVault(dir)).open();
      await server.sql(
        `create table large as select g as id, repeat(md5(g::text), 8) as body from generate_series(1, 40000) g`,
      );
      await server.sql('create table dropped as select 1 as x');
      await takePoint(server, vault, { id: 'p1' });
      await server.sql('update large set body = md5(body) where id % 50 = 0');
      await server.sql('create table made as select generate_series(1, 9000) as x');
      await takePoint(server, vault, { id: 'p2', parent: 'p1' });
      await server.sql('drop table dropped');
      await server.sql('update large set body = body || 1 where id % 70 = 0');
      const newest = await takePoint(server, vault, { id: 'p3', parent: 'p2' });
      await callback({ server, vault, dir, newest });
    });
  });
}

async function planIn(dir: string, { vault, newest }: World & { newest: PointSummary }): Promise<RecoveryPlan> {
  const { settings } = (await vault.open(newest.point)).manifest;
  return planFor(dir, { point: newest, settings }, { target: { kind: 'latest' }, chain: CHAIN });
}

test('a process that puts a chain together is killed at every stage: the next goes on to the same files', async () => {
  await withChain(async (world) => {
    const { server, vault, dir } = world;
    const theirs = await withServerDir((other) => combinedByServer({ server, vault, points: CHAIN }, other));
    await withServerDir(async (target) => {
      const plan = await planIn(target, world);
      await createRecovery('shop', recoveryOptions(server), plainRun()).prepare(plan);
      const { name } = serverUser();
      const options = { connection: server.connection, restore: { binaries: server.binaries, runAs: name } };
      const orders = { store: join(dir, 'store'), keyDir: join(dir, 'keys'), options, plan };
      // "combine": while the large files of changed blocks go to their places, in threads.
      for (const moment of [1, 9, 20, 'combine', 'combine']) {
        assert.equal(await fetchUntil(orders, moment), undefined, `came through before ${moment}`);
        assert.ok(!existsSync(join(plan.into, 'global/pg_control')), 'a copy that is not whole can be started');
      }
      const evidence = await fetchUntil(orders, Infinity);
      assert.ok(evidence);
      assert.ok(evidence.resumedParts > 20, JSON.stringify(evidence));
      assert.deepEqual(await sumsOf({ base: plan.into }), theirs);
      assert.ok(!existsSync(join(`${plan.into}.lifeboat`, 'increments')));
    });
  });
});

/** A reader of the newest point that shows one link otherwise than it is. */
function showing(reader: PointReader, link: string, change: (manifest: Manifest) => Manifest): PointReader {
  const shown = (each: PointReader): PointReader => ({
    ...each,
    ...(each.manifest.point === link ? { manifest: change(each.manifest) } : {}),
    other: async (point) => shown(await each.other(point)),
  });
  return shown(reader);
}

const without =
  (path: RegExp) =>
  (manifest: Manifest): Manifest => ({
    ...manifest,
    trees: manifest.trees.map((tree) => ({ ...tree, files: tree.files.filter((file) => !path.test(file.path)) })),
  });

const REFUSED: [string, string, (manifest: Manifest) => Manifest][] = [
  ['a link of another cluster', 'p2', (it) => ({ ...it, identity: { ...it.identity, systemId: '1' } })],
  ['a link that stands on another point', 'p3', (it) => ({ ...it, parent: 'p1' })],
  ['a full point that is none', 'p1', (it) => ({ ...it, kind: 'incremental', parent: 'p0' })],
  ['changed blocks of a file that is not there', 'p1', without(/^base\/5\/1259$/)],
  [
    'changed blocks beside the whole file',
    'p2',
    (it) => ({
      ...it,
      trees: it.trees.map((tree) => ({
        ...tree,
        files: tree.files.flatMap((file) => [
          file,
          ...(file.path.endsWith('/INCREMENTAL.1259')
            ? [{ ...file, path: file.path.replace('INCREMENTAL.', '') }]
            : []),
        ]),
      })),
    }),
  ],
];

test('a chain that does not fit together is refused before anything is touched', async () => {
  await withChain(async (world) => {
    await withServerDir(async (target) => {
      const plan = await planIn(target, world);
      const recovery = createRecovery('shop', recoveryOptions(world.server), plainRun());
      await recovery.prepare(plan);
      for (const [name, link, change] of REFUSED) {
        const reader = showing(await world.vault.open('p3'), link, change);
        await assert.rejects(recovery.fetch(plan, reader), (error) => failureTypeOf(error) === 'Integrity', name);
        assert.deepEqual(await readdir(plan.into), [], name);
      }
      await assert.rejects(
        recovery.fetch({ ...plan, chain: ['p1', 'gone', 'p3'] }, await world.vault.open('p3')),
        (error) => failureTypeOf(error) === 'NotFound',
      );
    });
  });
});
