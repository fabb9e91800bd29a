import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { BackupOptions, PointReader } from '../../activities/sources/source.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { Manifest, PointSummary } from '../../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../../workflows/model/recovery.ts';
import { fillTables, rows, sumsOf, takePoint } from '../support/chains.ts';
import { withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Scene } from '../support/recovery.ts';
import { readBackup } from '../support/read-backup.ts';
import { planFor, recoveryOptions, tableSums, timeOf, withRestored, withScene } from '../support/recovery.ts';

/** Nothing writes by itself: what is on the disk stays what the backup read. */
const QUIET = { autovacuum: 'off', checkpoint_timeout: '1h', bgwriter_lru_maxpages: '0' };

async function fill(server: TestPostgres): Promise<void> {
  const names = ['grown', 'cut', 'emptied', 'dropped', 'rewritten', 'cleaned', 'moved'];
  await fillTables(server, names, 4000);
  await server.sql(`create table large as ${rows(1, 20000)}`);
  await server.sql('create index large_by on large (md5(body))');
  await server.sql(`create unlogged table passing as ${rows(1, 100)}`);
  for (const name of ['one', 'two']) {
    await server.sql(`create database ${name}`);
    await server.sql(
      `create table t as select '${name}' as name, ${name === 'one' ? 1 : 2} * g as id from generate_series(1, 3000) g`,
      name,
    );
    await server.sql('checkpoint');
  }
  await server.sql('create database copy oid 424242 template one strategy file_copy');
}

/** Each leaves pages behind that differ and whose LSN, or whose WAL, says nothing of it, beside those that WAL does tell of. */
const CHANGES: readonly string[][] = [
  [
    'insert into grown select g, repeat(md5(g::text), 8) from generate_series(4001, 9000) g',
    'delete from cut where id > 1000',
    'vacuum (truncate) cut',
    'truncate emptied',
    'drop table dropped',
    `create table made as ${rows(1, 2000)}`,
    'update large set body = md5(body) where id % 200 = 0',
    'update far set body = md5(body) where id < 40',
    // Marks pages all-visible, which leaves no LSN on them without page checksums; clears it in the map without one.
    'vacuum cleaned',
    'alter table moved set tablespace space',
    // Pages of another database under the names of the first, with LSNs from before the parent.
    'drop database copy',
    'create database copy oid 424242 template two strategy file_copy',
  ],
  [
    'delete from cleaned where id = 7',
    'vacuum full rewritten',
    'insert into cut select g, repeat(md5(g::text), 8) from generate_series(1001, 2500) g',
    'alter table moved set tablespace pg_default',
    'delete from large where id > 15000',
    'vacuum (truncate) large',
    'drop table made',
  ],
  [],
];

function take(
  server: TestPostgres,
  vault: Scene['vault'],
  step: { id: string; parent?: string; kind?: 'differential' },
): Promise<PointSummary> {
  const options = recoveryOptions(server, { files: { read: 'local' } });
  return takePoint(server, vault, { ...step, options, backup: { increments: true } });
}

async function takeChain({ server, vault, guard }: Scene, steps = CHANGES): Promise<string[]> {
  await take(server, vault, { id: 'f1' });
  const points = ['f1'];
  for (const statements of steps) {
    for (const statement of statements) await server.sql(statement);
    const [id, parent] = [`i${points.length}`, points.at(-1) ?? ''];
    const taken = await take(server, vault, { id, parent });
    assert.deepEqual([taken.kind, taken.parent], ['incremental', parent], taken.fallback);
    if (statements.length === 0) assert.ok(taken.bytes < guard.point.bytes / 20, `${taken.bytes} bytes`);
    points.push(id);
  }
  return points;
}

async function planOn({ vault, guard }: Scene, dir: string, chain: string[]): Promise<RecoveryPlan> {
  const { manifest } = await vault.open(chain.at(-1) ?? '');
  const point = (await vault.points()).points.find((each) => each.point === manifest.point) ?? guard.point;
  const spaces = manifest.trees.filter(({ id }) => /^\d+$/.test(id)).map(({ id }) => [id, join(dir, 'spaces', id)]);
  const tablespaces = Object.fromEntries(spaces) as Record<string, string>;
  return planFor(dir, { point, settings: manifest.settings }, { target: { kind: 'latest' }, tablespaces, chain });
}

/** Relations and what else lies beside them; the rest of the data directory moves, or is not in a backup. */
const COMPARED = /^(?:base|\d+)\/(?:base|global|PG_\d+_\d+)\/(?!pg_control|.*pg_internal)/;

async function relationSums(base: string, spaces: Record<string, string>): Promise<Map<string, string>> {
  const sums = await sumsOf({ base, ...spaces });
  return new Map([...sums].filter(([path, sum]) => COMPARED.test(path) && sum !== 'folder'));
}

/** Every byte of every relation, against the directory of the server that lies still; gives their sums. */
async function assertSameFiles(scene: Scene, chain: string[]): Promise<Map<string, string>> {
  const { server, vault } = scene;
  return withServerDir(async (dir) => {
    const plan = await planOn(scene, dir, chain);
    const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
    await recovery.prepare(plan);
    await recovery.fetch(plan, await vault.open(plan.base.point));
    const copied = await relationSums(plan.into, plan.tablespaces);
    const [space = ''] = Object.keys(plan.tablespaces);
    const theirs = await relationSums(server.dataDir, { [space]: join(server.dataDir, '..', 'space') });
    // Of what is not logged only the form is in a backup.
    for (const path of [...theirs.keys()]) {
      const relation = path.replace(/(?:_fsm|_vm)?(?:\.\d+)?$/, '');
      if (theirs.has(`${relation}_init`)) theirs.delete(path);
    }
    assert.ok(copied.size > 900, `${copied.size} files`);
    assert.deepEqual(copied, theirs);
    return theirs;
  });
}

/** The same by docs/read-backup.py, which knows nothing of us. */
async function assertReadByHand({ guard, place }: Scene, point: string, theirs: Map<string, string>): Promise<void> {
  await guard.caughtUp();
  await guard.stop();
  await withServerDir(async (dir) => {
    const into = join(dir, 'by-hand');
    const keys = ['--root-key', join(place.keyDir, 'root.key'), '--signer', join(place.keyDir, 'signing.pub')];
    const from = ['--vault', place.root, '--source', 'shop', '--point', point];
    const { code, stderr } = await readBackup(...from, ...keys, '--into', into);
    assert.equal(code, 0, stderr);
    const [space = ''] = await readdir(join(into, 'tablespaces'));
    const found = await relationSums(join(into, 'data'), { [space]: join(into, 'tablespaces', space) });
    assert.deepEqual(found, theirs);
  });
}

async function recovers(scene: Scene, chain: string[]): Promise<void> {
  const { server, vault, guard } = scene;
  await server.sql('insert into grown select * from far where id > 3000');
  const expected = { ...(await tableSums(server.sql)), 'public.passing': '' };
  const copy = await tableSums(server.sql, 'copy');
  const time = await timeOf(server.sql);
  await server.sql('truncate grown');
  await guard.caughtUp();
  await withServerDir(async (dir) => {
    const { base, tablespaces } = await planOn(scene, dir, chain);
    const { settings } = (await vault.open(base.point)).manifest;
    const target = { kind: 'time', time, inclusive: true } as const;
    await withRestored(
      { ...scene, guard: { ...guard, point: base, settings } },
      { target, chain, tablespaces },
      async ({ sql }) => {
        assert.deepEqual({ ...(await tableSums(sql)), 'public.passing': '' }, expected);
        assert.deepEqual(await tableSums(sql, 'copy'), copy);
      },
    );
  });
}

/** A chain of a server that cannot say what changed. */
async function chains(t: TestContext, scene: Scene): Promise<{ newest: string; theirs: Map<string, string> }> {
  const { server, vault } = scene;
  const chain = await takeChain(scene);
  let theirs = new Map<string, string>();
  await t.test('it comes out byte for byte as the server has it', async () => {
    theirs = await assertSameFiles(scene, chain);
  });
  await t.test('so does a differential one, past those between', async () => {
    const taken = await take(server, vault, { id: 'd1', parent: 'f1', kind: 'differential' });
    assert.equal(taken.kind, 'differential', taken.fallback);
    await assertSameFiles(scene, ['f1', 'd1']);
  });
  await t.test('it recovers to a moment behind it', () => recovers(scene, chain));
  return { newest: chain.at(-1) ?? '', theirs };
}

test('PostgreSQL 15: what changed, found by comparing pages here', async (t) => {
  await withScene({ version: 15, settings: QUIET, before: fill }, async (scene) => {
    const { newest, theirs } = await chains(t, scene);
    await parents(t, scene);
    await t.test('Python reads it as well', () => assertReadByHand(scene, newest, theirs));
  });
});

test('PostgreSQL 18 without summarize_wal, with page checksums', async () => {
  await withScene({ version: 18, settings: QUIET, before: fill }, async (scene) => {
    await assertSameFiles(scene, await takeChain(scene, CHANGES.slice(0, 1)));
  });
});

function changed(reader: PointReader, facts: Partial<Manifest>): PointReader {
  return { ...reader, manifest: { ...reader.manifest, ...facts } };
}

async function parents(t: TestContext, { server, vault }: Scene): Promise<void> {
  const parent = await vault.open('f1');
  const { manifest } = parent;
  const { blockSums: _, ...withoutSums } = manifest;
  const damaged = (part: PointReader['readPart']): PointReader => ({ ...parent, readPart: part });
  const table: [string, PointReader, RegExp][] = [
    [
      'keeps no sums',
      { ...parent, manifest: withoutSums },
      /^PostgreSQL 15 takes no .*; and f1 keeps no sums of pages/,
    ],
    [
      'is of another cluster',
      changed(parent, { identity: { ...manifest.identity, systemId: '1' } }),
      /^f1 is of another/,
    ],
    [
      'has wrong pages',
      changed(parent, { damaged: [{ tree: 'base', path: 'base/5/1', block: 1 }] }),
      /^pages in f1 were/,
    ],
    [
      'had page checksums',
      changed(parent, { settings: { ...manifest.settings, data_checksums: 'on' } }),
      /^page checksums were/,
    ],
    ['begins later', changed(parent, { startLsn: 'FFFF/0' }), /^f1 begins at FFFF\/0, behind/],
    [
      'has damaged sums',
      damaged(() => Promise.reject(failure('Integrity', 'part 9 is damaged'))),
      /^f1 is damaged: part 9/,
    ],
    [
      'has other sums',
      damaged(async (part) => Buffer.alloc(part.bytes)),
      /^f1 is damaged: block sums of f1 are not what/,
    ],
  ];
  for (const [index, [name, reader, says]] of table.entries()) {
    await t.test(`a parent that ${name}: a full backup, and why`, async () => {
      const since: BackupOptions['since'] = { kind: 'incremental', parent: reader };
      const options = recoveryOptions(server, { files: { read: 'local' } });
      const taken = await takePoint(server, vault, { id: `x${index}`, options, backup: { since } });
      assert.equal(taken.kind, 'full');
      assert.match(taken.fallback ?? '', says);
      assert.ok((await vault.open(`x${index}`)).manifest.blockSums, 'the next one can stand on it');
    });
  }
  await t.test('a store that is away is no reason for a full one', async () => {
    const since: BackupOptions['since'] = {
      kind: 'incremental',
      parent: damaged(() => Promise.reject(failure('Unavailable', 'away'))),
    };
    const options = recoveryOptions(server, { files: { read: 'local' } });
    await assert.rejects(takePoint(server, vault, { id: 'y1', options, backup: { since } }), /away/);
    assert.ok(!(await readdir(server.dataDir)).includes('backup_label'));
  });
}
