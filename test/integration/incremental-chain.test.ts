import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { combinedByServer, fillTables, rows, sumsOf, SUMMARIZING, takePoint } from '../support/chains.ts';
import { withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { planFor, recover, recoveryOptions, sqlOf, tableSums, timeOf, withScene } from '../support/recovery.ts';
import type { Scene } from '../support/recovery.ts';

async function fill(server: TestPostgres): Promise<void> {
  const names = ['same', 'grown', 'cut', 'emptied', 'dropped', 'rewritten', 'clustered'];
  await fillTables(server, names, 4000);
  // Changed blocks of it fill more than one part.
  await server.sql(`create table large as ${rows(1, 30000)}`);
  await server.sql('create index clustered_by on clustered (md5(id::text))');
  await server.sql(`create unlogged table passing as ${rows(1, 1000)}`);
  await server.sql('create database gone');
}

/** Files that grow, shrink, go, come and are made anew, between each point and the next. */
const CHANGES: readonly string[][] = [
  [
    'insert into grown select g, repeat(md5(g::text), 8) from generate_series(4001, 9000) g',
    'delete from cut where id > 1000',
    'vacuum (truncate) cut',
    'truncate emptied',
    'drop table dropped',
    `create table made as ${rows(1, 2000)}`,
    'update large set body = md5(body) where id % 60 = 0',
    'update far set body = md5(body) where id < 40',
    'create database copied strategy = file_copy',
    'create database logged strategy = wal_log',
    'insert into passing select * from grown limit 10',
  ],
  [
    'vacuum full rewritten',
    'cluster clustered using clustered_by',
    'insert into cut select g, repeat(md5(g::text), 8) from generate_series(1001, 2500) g',
    'drop database gone',
    'update large set body = body || 1 where id % 90 = 0',
    'update same set body = body where id = 17',
    'drop table made',
    'create table far_too (id int) tablespace space',
    'delete from large where id > 20000',
    'vacuum (truncate) large',
  ],
  // Nothing at all.
  ['checkpoint'],
];

async function change(server: TestPostgres, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await server.sql(statement);
}

/** A full point and three on top of it. */
async function takeChain({ server, vault, guard }: Scene): Promise<string[]> {
  const points = [guard.point.point];
  for (const statements of CHANGES) {
    await change(server, statements);
    const [id, parent] = [`p${points.length + 1}`, points.at(-1) ?? ''];
    const taken = await takePoint(server, vault, { id, parent });
    assert.deepEqual([taken.kind, taken.parent], ['incremental', parent], taken.fallback);
    // The last one has nothing to bring but what is always whole.
    if (points.length === CHANGES.length) assert.ok(taken.bytes < guard.point.bytes / 8, `${taken.bytes} bytes`);
    points.push(id);
  }
  const files = (await vault.open('p2')).manifest.trees.flatMap((tree) => tree.files);
  const inPieces = files.filter(({ path, slices }) => path.includes('INCREMENTAL.') && (slices?.length ?? 0) > 1);
  assert.ok(inPieces.length > 0, 'no file of changed blocks stands in several parts');
  return points;
}

async function planOn(
  scene: Scene,
  dir: string,
  use: { chain: string[] } & Partial<RecoveryPlan>,
): Promise<RecoveryPlan> {
  const { manifest } = await scene.vault.open(use.chain.at(-1) ?? '');
  const { points } = await scene.vault.points();
  const point = points.find((each) => each.point === manifest.point) ?? scene.guard.point;
  const spaces = manifest.trees.filter(({ id }) => /^\d+$/.test(id)).map(({ id }) => [id, join(dir, 'spaces', id)]);
  const tablespaces = Object.fromEntries(spaces) as Record<string, string>;
  return planFor(dir, { point, settings: manifest.settings }, { target: { kind: 'latest' }, tablespaces, ...use });
}

async function fetchedSums(scene: Scene, plan: RecoveryPlan): Promise<Map<string, string>> {
  const recovery = createRecovery('shop', recoveryOptions(scene.server), plainRun());
  await recovery.prepare(plan);
  await recovery.fetch(plan, await scene.vault.open(plan.base.point));
  return sumsOf({ base: plan.into, ...plan.tablespaces });
}

for (const version of [17, 18]) {
  test(`PostgreSQL ${version}: a chain comes out as pg_combinebackup makes it, and recovers`, async () => {
    await withScene({ version, settings: SUMMARIZING, before: fill }, async (scene) => {
      const { server, vault, guard } = scene;
      const points = await takeChain(scene);
      await server.sql('insert into same select * from grown where id > 8000');
      const expected = await tableSums(server.sql);
      const time = await timeOf(server.sql);
      await server.sql('delete from same');
      await guard.caughtUp();
      // A chain that ends earlier is one of its own.
      for (const chain of version === 18 ? [points, points.slice(0, 2)] : [points]) {
        await withServerDir(async (dir) => {
          const plan = await planOn(scene, dir, { chain });
          const ours = await fetchedSums(scene, plan);
          const theirs = await withServerDir((other) => combinedByServer({ server, vault, points: chain }, other));
          assert.deepEqual(ours, theirs);
          assert.ok(!existsSync(join(plan.into, 'backup_manifest')));
          assert.doesNotMatch(await readFile(join(plan.into, 'backup_label'), 'utf8'), /INCREMENTAL/);
        });
      }
      await withServerDir(async (dir) => {
        const target = { kind: 'time', time, inclusive: true } as const;
        const plan = await planOn(scene, dir, { chain: points, target });
        const { proof } = await recover(server, { vault, plan });
        assert.deepEqual(
          proof.checks.filter(({ ok }) => !ok),
          [],
        );
        const found = await tableSums(sqlOf(plan));
        // What is not logged is empty after any recovery.
        assert.deepEqual({ ...found, 'public.passing': '' }, { ...expected, 'public.passing': '' });
        await createRecovery('shop', recoveryOptions(server), plainRun()).discard(plan);
      });
    });
  });
}
