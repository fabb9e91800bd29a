import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32c } from '../../activities/io/crc32c.ts';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { serverManifestOf } from '../../activities/sources/postgres/backup/parent-manifest.ts';
import type { BackupFacts, PointReader } from '../../activities/sources/source.ts';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import type { Manifest } from '../../workflows/model/manifest.ts';
import { SUMMARIZING } from '../support/chains.ts';
import { memorySink } from '../support/folder-sink.ts';
import { run, withPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { recoveryOptions } from '../support/recovery.ts';

interface Taken {
  facts: BackupFacts;
  reader: PointReader;
}

async function take(server: TestPostgres, parent?: PointReader, user = 'postgres'): Promise<Taken> {
  const out = memorySink();
  const options = recoveryOptions(server, {
    connection: { ...server.connection, user },
    files: { read: 'stream' },
  });
  const since = parent ? { since: { kind: 'incremental' as const, parent } } : {};
  const backup = { checkpoint: 'fast' as const, label: 'test', ...since };
  const facts = await takeBackup(options, { out, backup, run: plainRun() });
  const manifest: Manifest = {
    ...{ format: 'lifeboat-manifest/1', point: 'parent', source: 'shop', kind: 'full', tool: 'test' },
    ...facts,
  };
  const readPart: PointReader['readPart'] = async ({ number }) => Buffer.from(out.parts.get(number) ?? Buffer.alloc(0));
  const absent = (): Promise<never> => Promise.reject(new Error('not here'));
  return { facts, reader: { manifest, readPart, usePart: absent, other: absent } };
}

/** The same parent, its facts changed. */
function changed({ reader }: Taken, facts: Partial<Manifest>): PointReader {
  return { ...reader, manifest: { ...reader.manifest, ...facts } };
}

/** The same parent, whose server manifest has another text, with sums that fit. */
async function withManifestText({ reader }: Taken, change: (text: string) => string): Promise<PointReader> {
  const file = serverManifestOf(reader.manifest);
  const pieces = await Promise.all(
    (file?.slices ?? []).map(async ({ part, at, bytes }) => {
      const ref = reader.manifest.parts[part - 1];
      assert.ok(ref);
      return (await reader.readPart(ref)).subarray(at, at + bytes);
    }),
  );
  const bytes = Buffer.from(change(Buffer.concat(pieces).toString('utf8')));
  const slices = [{ part: 1, at: 0, bytes: bytes.length, crc32c: crc32c(bytes) }];
  const files = [
    { path: 'backup_manifest', type: 'file' as const, mode: 0o600, mtime: '', bytes: bytes.length, slices },
  ];
  const trees = [{ id: 'base', files }];
  return { ...reader, manifest: { ...reader.manifest, trees }, readPart: async () => bytes };
}

/** Of manifests of PostgreSQL 16 and older. */
function ofVersionOne(text: string): string {
  const lines = text.replace(
    /"PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": \d+/,
    '"PostgreSQL-Backup-Manifest-Version": 1',
  );
  const body = lines.slice(0, lines.lastIndexOf('"Manifest-Checksum"'));
  return `${body}"Manifest-Checksum": "${createHash('sha256').update(body).digest('hex')}"}\n`;
}

/** The same parent, the second half of whose server manifest cannot be read. */
function failingMidway({ reader }: Taken, error: Error): PointReader {
  const { manifest } = reader;
  const file = serverManifestOf(manifest);
  const [slice] = file?.slices ?? [];
  assert.ok(file && slice);
  const slices = [slice, { ...slice, part: slice.part }];
  const files = [{ ...file, slices }];
  let reads = 0;
  return {
    ...reader,
    manifest: { ...manifest, trees: [{ id: 'base', files }] },
    readPart: (part) => (++reads > 1 ? Promise.reject(error) : reader.readPart(part)),
  };
}

async function assertFull(server: TestPostgres, parent: PointReader, says: RegExp): Promise<void> {
  const { facts } = await take(server, parent);
  assert.match(facts.fallback ?? 'none', says);
  assert.deepEqual([facts.kind, facts.parent], [undefined, undefined]);
  const paths = facts.trees.flatMap((tree) => tree.files.map((file) => file.path));
  assert.ok(!paths.some((path) => path.includes('INCREMENTAL.')) && paths.includes('global/pg_control'));
}

async function walsenders(server: TestPostgres): Promise<number> {
  return Number((await server.sql('select count(*) as n from pg_stat_replication'))[0]?.['n']);
}

async function assertParents(server: TestPostgres, parent: Taken): Promise<void> {
  const { manifest } = parent.reader;
  const rows: [PointReader, RegExp][] = [
    [
      changed(parent, { identity: { ...manifest.identity, systemId: '1' } }),
      /^parent is of another cluster: 1, not \d+$/,
    ],
    [changed(parent, { trees: [{ id: 'base', files: [] }] }), /^parent holds no backup_manifest/],
    [
      changed(parent, { damaged: [{ tree: 'base', path: 'base/5/1259', block: 3 }] }),
      /^pages in parent were wrong on the source: 1$/,
    ],
    [changed(parent, { timeline: 7 }), /^timeline 1 does not descend from parent on timeline 7$/],
    [
      changed(parent, { settings: { ...manifest.settings, data_checksums: 'off' } }),
      /^page checksums were switched since parent: off then, on now$/,
    ],
    [await withManifestText(parent, ofVersionOne), /^the server does not take the manifest of parent: .*version/],
    [await withManifestText(parent, (text) => text.slice(0, 5000)), /^the server does not take the manifest of parent/],
    [failingMidway(parent, failure('Integrity', 'part 3 is damaged')), /^parent is damaged: part 3 is damaged$/],
  ];
  for (const [reader, says] of rows) await assertFull(server, reader, says);
}

test('what changed cannot be had: a full backup instead, with the reason', async () => {
  await withPostgres({ version: 18, settings: SUMMARIZING }, async (server) => {
    await server.sql('create table t as select g as id from generate_series(1, 20000) g');
    const parent = await take(server);
    await assertParents(server, parent);

    // A store that is away is no reason for a full one: whoever asked tries again.
    const away = failingMidway(parent, failure('Unavailable', 'store is away'));
    await assert.rejects(take(server, away), (error) => failureTypeOf(error) === 'Unavailable');
    while ((await walsenders(server)) > 0);

    const { facts } = await take(server, parent.reader);
    assert.deepEqual([facts.kind, facts.parent, facts.fallback], ['incremental', 'parent', undefined]);

    const dying = failingMidway(parent, failure('Bug', 'never thrown'));
    const readPart: PointReader['readPart'] = async (part) => (
      await server.stop('immediate'),
      parent.reader.readPart(part)
    );
    await assert.rejects(take(server, { ...dying, readPart }), (error) => failureTypeOf(error) === 'Unavailable');
    await server.start();

    await server.sql('alter system set summarize_wal = off');
    await server.sql('select pg_reload_conf()');
    while ((await server.sql('show summarize_wal'))[0]?.['summarize_wal'] !== 'off');
    await assertFull(server, parent.reader, /^summarize_wal is off: alter system set summarize_wal = on/);
    await server.sql('alter system set summarize_wal = on');
    await server.sql('select pg_reload_conf()');

    await withoutSummaries(server, parent);
  });
});

const summariesIn = (server: TestPostgres): string => join(server.dataDir, 'pg_wal', 'summaries');

/** As wal_summary_keep_time leaves it: the oldest are gone; then all. */
async function withoutSummaries(server: TestPostgres, parent: Taken): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await server.sql('insert into t select g from generate_series(1, 20000) g');
    await take(server, parent.reader);
  }
  const names = (await readdir(summariesIn(server))).sort();
  assert.ok(names.length > 1, 'only one summary');
  for (const name of names.slice(0, -1)) await rm(join(summariesIn(server), name));
  await assertFull(
    server,
    parent.reader,
    /^WAL summaries from .* on, behind parent, are gone: see wal_summary_keep_time$/,
  );
  for (const name of await readdir(summariesIn(server))) await rm(join(summariesIn(server), name));
  await assertFull(server, parent.reader, /^(?:the server refuses: .*WAL summaries are required|WAL summaries from)/s);
}

test('a chain across a switch of page checksums: a full backup; across a promotion: none', async () => {
  await withPostgres({ version: 18, settings: SUMMARIZING }, async (server) => {
    await server.sql('create table t as select g as id from generate_series(1, 20000) g');
    await server.sql('create role plain login replication');
    await server.sql(
      'grant execute on function pg_control_system(), pg_control_checkpoint(), pg_control_recovery(), pg_control_init() to plain',
    );
    const parent = await take(server);
    // A role that may do nothing but replicate is enough.
    assert.equal((await take(server, parent.reader, 'plain')).facts.kind, 'incremental');

    await server.stop();
    await writeFile(join(server.dataDir, 'standby.signal'), '', { mode: 0o644 });
    await server.start();
    await run(join(server.binaries, 'pg_ctl'), ['-D', server.dataDir, '-w', 'promote']);
    const promoted = await take(server, parent.reader);
    assert.deepEqual([promoted.facts.timeline, promoted.facts.kind], [2, 'incremental'], promoted.facts.fallback);
    const beyond = changed(parent, { stopLsn: 'F/0' });
    await assertFull(server, beyond, /^timeline 2 does not descend from parent on timeline 1$/);

    await server.stop();
    await run(join(server.binaries, 'pg_checksums'), ['--disable', '-D', server.dataDir]);
    await server.start();
    await assertFull(server, parent.reader, /^page checksums were switched since parent: on then, off now$/);
  });
});

test('PostgreSQL 15 takes none: a full backup instead', async () => {
  await withPostgres({ version: 15 }, async (server) => {
    const parent = await take(server);
    await assertFull(
      server,
      parent.reader,
      /^PostgreSQL 15 takes no incremental backups: version 17 and newer do, and a worker/,
    );
  });
});
