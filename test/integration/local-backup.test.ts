import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { memorySink } from '../support/folder-sink.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { makeOwned, withPostgres } from '../support/postgres.ts';
import { verifies } from '../support/verify-backup.ts';

const ORDER = { checkpoint: 'fast', label: 'test' } as const;

interface Taken {
  facts: BackupFacts;
  parts: Map<number, Buffer>;
}

function optionsFor(server: TestPostgres, files: Record<string, unknown>, user?: string): PostgresOptions {
  const connection = { ...server.connection, ...(user === undefined ? {} : { user }) };
  return postgresSchema.parse({ connection, files });
}

async function backup(server: TestPostgres, read: 'local' | 'stream', partBytes = 1 << 20): Promise<Taken> {
  const out = memorySink(partBytes);
  const facts = await takeBackup(optionsFor(server, { read }), { out, backup: ORDER, run: plainRun() });
  return { facts, parts: out.parts };
}

/** Path, type and mode of everything; the length of what nobody writes to. */
function outline({ trees }: BackupFacts): string[] {
  return trees
    .flatMap(({ id, location = '', files }) => [
      `${id} ${location}`,
      ...files.map(({ path, type, mode }) => `${id} ${path} ${type} ${mode.toString(8)}`),
    ])
    .sort();
}

for (const version of [15, 17, 18]) {
  test(`PostgreSQL ${version}: files read here are what the server would send, by its own verdict`, async () => {
    await withPostgres({ version }, async (server) => {
      const place = join(server.dataDir, '..', 'space');
      await makeOwned(place);
      await server.sql(`create tablespace space location '${place}'`);
      await server.sql(`create table far tablespace space as select generate_series(1, 5000) as x`);
      await server.sql(`create table t as select g, repeat(md5(g::text), 10) as body from generate_series(1, 20000) g`);
      await server.sql('create unlogged table u as select 1 as x');
      await server.sql('create unlogged table v (x int) tablespace space');
      const session = await server.connect();
      try {
        await session.query('create temporary table gone as select 1 as x');
        await server.sql('checkpoint');
        const streamed = await backup(server, 'stream');
        const local = await backup(server, 'local');
        await verifies(server, local);
        assert.deepEqual(outline(local.facts), outline(streamed.facts));
        assert.ok(local.facts.parts.length > 5);
        assert.equal(local.facts.damaged, undefined);
        assert.equal(local.facts.pageChecksums, version === 18);
      } finally {
        await session.end();
      }
    });
  });
}

test('parts smaller than a file split it between pages, and files of odd lengths stay whole', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select repeat('x', 500) from generate_series(1, 5000)`);
    const taken = await backup(server, 'local', 100_000);
    await verifies(server, taken);
    const sliced = taken.facts.trees.flatMap((tree) => tree.files).filter((file) => (file.slices?.length ?? 0) > 2);
    assert.ok(sliced.length > 0);
  });
});

test('a page with a wrong checksum is reported by relation and block, and the rest is kept', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select g, repeat('x', 500) as body from generate_series(1, 3000) g`);
    await server.sql('checkpoint');
    const [row] = await server.sql(`select pg_relation_filepath('t') as path`);
    const path = String(row?.['path']);
    const file = await open(join(server.dataDir, path), 'r+');
    await file.write(Buffer.from('rotten'), 0, 6, 7 * 8192 + 5000);
    // An LSN from the future would hide a page from the check.
    await file.write(Buffer.from('ffffffffffffff7f', 'hex'), 0, 8, 9 * 8192);
    await file.close();
    const taken = await backup(server, 'local');
    assert.deepEqual(taken.facts.damaged, [
      { tree: 'base', path, block: 7 },
      { tree: 'base', path, lsn: 'FFFFFFFF/7FFFFFFF' },
    ]);
    await verifies(server, taken);
  });
});

test('where the files cannot be read the walsender sends them, unless that is refused', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql('create role plain login replication');
    await server.sql(
      `grant execute on function pg_control_system(), pg_control_checkpoint(), pg_control_recovery(), pg_control_init() to plain`,
    );
    const attempt = (files: Record<string, unknown>, user?: string): Promise<BackupFacts> =>
      takeBackup(optionsFor(server, files, user), { out: memorySink(), backup: ORDER, run: plainRun() });
    const refused: [Record<string, unknown>, string | undefined, RegExp][] = [
      [{ read: 'local' }, 'plain', /pg_read_all_settings/],
      [{ read: 'local', dataDirectory: server.dataDir }, 'plain', /grant execute on function pg_backup_start/],
      [{ read: 'local', dataDirectory: '/nonexistent' }, undefined, /ENOENT/],
    ];
    for (const [files, user, says] of refused) {
      await assert.rejects(attempt(files, user), (error) => {
        assert.equal(failureTypeOf(error), 'Precondition', String(error));
        assert.match(JSON.stringify(error), says);
        return true;
      });
    }
    const facts = await attempt({ read: 'auto' }, 'plain');
    assert.ok(facts.parts.length > 0);
    await withPostgres({ version: 18 }, async (other) => {
      await assert.rejects(attempt({ read: 'local', dataDirectory: other.dataDir }), (error) => {
        return /files of cluster \d+/.test(String(error));
      });
    });
  });
});
