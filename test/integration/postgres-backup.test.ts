import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { serverSchema } from '../../activities/io/postgres/connection.ts';
import { connectReplication } from '../../activities/io/postgres/replication.ts';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import { memorySink } from '../support/folder-sink.ts';
import { makeOwned, withPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { verifies } from '../support/verify-backup.ts';

function optionsFor(server: TestPostgres, overrides: Record<string, unknown> = {}): PostgresOptions {
  return postgresSchema.parse({ connection: { ...server.connection, ...overrides }, files: { read: 'stream' } });
}

const ORDER = { checkpoint: 'fast', label: 'test' } as const;

async function backup(
  server: TestPostgres,
  partBytes = 1 << 20,
): Promise<{ facts: BackupFacts; parts: Map<number, Buffer>; mostInFlight: number }> {
  const out = memorySink(partBytes);
  const facts = await takeBackup(optionsFor(server), { out, backup: ORDER, run: plainRun() });
  return { facts, parts: out.parts, mostInFlight: out.mostInFlight };
}

for (const version of [15, 17, 18]) {
  test(`PostgreSQL ${version}: a backup is what the server sent, by the server's own verdict`, async () => {
    await withPostgres({ version }, async (server) => {
      await server.sql(
        `create table t as select g as id, repeat(md5(g::text), 10) as body from generate_series(1, 20000) g`,
      );
      await server.sql('create unlogged table u as select 1 as x');
      const taken = await backup(server);
      await verifies(server, taken);
      assert.ok(taken.facts.parts.length > 5);
      assert.ok(taken.mostInFlight <= 5, `${taken.mostInFlight} parts in flight`);
      assert.equal(taken.facts.identity.serverVersion.toString().slice(0, 2), String(version));
      const paths = taken.facts.trees.find((tree) => tree.id === 'base')?.files.map((file) => file.path) ?? [];
      for (const wanted of ['backup_label', 'tablespace_map', 'global/pg_control', 'backup_manifest', 'PG_VERSION']) {
        assert.ok(wanted === 'tablespace_map' || paths.includes(wanted), wanted);
      }
      assert.ok(!paths.some((path) => path === 'postmaster.pid'));
    });
  });
}

test('tablespaces are trees of their own with their place', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    const place = join(server.dataDir, '..', 'space');
    await makeOwned(place);
    await server.sql(`create tablespace space location '${place}'`);
    await server.sql('create table far tablespace space as select generate_series(1, 5000) as x');
    const taken = await backup(server);
    await verifies(server, taken);
    const tree = taken.facts.trees.find((candidate) => candidate.id !== 'base');
    assert.equal(tree?.location, place);
    assert.ok(tree?.files.some((file) => file.type === 'file' && file.bytes > 8192));
  });
});

test('parts smaller than a file split it; every slice carries its own CRC', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select repeat('x', 500) from generate_series(1, 5000)`);
    const taken = await backup(server, 100_000);
    await verifies(server, taken);
    const sliced = taken.facts.trees.flatMap((tree) => tree.files).filter((file) => (file.slices?.length ?? 0) > 2);
    assert.ok(sliced.length > 0);
  });
});

const refusals: [
  string,
  string,
  { settings?: Record<string, string>; hba?: string; user?: string; tls?: object },
  RegExp,
][] = [
  ['a role without REPLICATION', 'Denied', { user: 'plain' }, /replication/],
  [
    'a pg_hba.conf without replication',
    'Denied',
    { hba: 'local all all trust\nhost all all 127.0.0.1/32 trust\n' },
    /pg_hba\.conf/,
  ],
  [
    'max_wal_senders = 0',
    'Precondition',
    { settings: { max_wal_senders: '0', wal_level: 'replica' } },
    /max_wal_senders/,
  ],
  ['wal_level = minimal', 'Precondition', { settings: { wal_level: 'minimal', max_wal_senders: '0' } }, /wal_level/],
  ['a server without TLS', 'Precondition', { tls: { mode: 'require' } }, /ssl = on/],
];

for (const [name, type, setup, names] of refusals) {
  test(`refused with the setting to change: ${name}`, async () => {
    const { user, tls, ...server } = setup;
    await withPostgres({ version: 18, ...server }, async (at) => {
      await at.sql(
        'create role plain login; grant pg_read_all_settings to plain; grant execute on function pg_control_system(), pg_control_checkpoint(), pg_control_init() to plain',
      );
      const options = optionsFor(at, { ...(user ? { user } : {}), ...(tls ? { tls } : {}) });
      await assert.rejects(takeBackup(options, { out: memorySink(), backup: ORDER, run: plainRun() }), (error) => {
        assert.equal(failureTypeOf(error), type, String(error));
        assert.match(findFailure(error)?.message ?? '', names);
        return true;
      });
    });
  });
}

test('refused with the setting to change: every walsender is in use', async () => {
  await withPostgres({ version: 18, settings: { max_wal_senders: '2' } }, async (server) => {
    const options = optionsFor(server);
    await using first = await connectReplication(serverSchema.parse(server.connection), plainRun());
    await using second = await connectReplication(serverSchema.parse(server.connection), plainRun());
    await assert.rejects(takeBackup(options, { out: memorySink(), backup: ORDER, run: plainRun() }), (error) => {
      assert.equal(failureTypeOf(error), 'Busy', String(error));
      assert.match(findFailure(error)?.message ?? '', /2 of max_wal_senders = 2 in use.*raise max_wal_senders/);
      return true;
    });
    await second.close();
    await takeBackup(options, { out: memorySink(), backup: ORDER, run: plainRun() });
    void first;
  });
});

test('the server dies in the middle: Unavailable, and nothing hangs', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select repeat(md5(g::text), 20) from generate_series(1, 100000) g`);
    const out = memorySink(1 << 20);
    const write = out.write.bind(out);
    let stopping: Promise<void> | undefined;
    out.write = async (number, bytes) => {
      if (number === 3) await (stopping ??= server.stop('immediate'));
      return write(number, bytes);
    };
    await assert.rejects(
      takeBackup(optionsFor(server), { out, backup: ORDER, run: plainRun() }),
      (error) => failureTypeOf(error) === 'Unavailable',
    );
  });
});

test('an abort in the middle leaves no walsender behind', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select repeat(md5(g::text), 20) from generate_series(1, 100000) g`);
    const stop = new AbortController();
    const out = memorySink(1 << 20);
    const write = out.write.bind(out);
    out.write = (number, bytes) => {
      if (number === 3) stop.abort(new Error('cancelled by test'));
      return write(number, bytes);
    };
    await assert.rejects(
      takeBackup(optionsFor(server), { out, backup: ORDER, run: plainRun({ signal: stop.signal }) }),
      /cancelled by test/,
    );
    const client = await server.connect();
    try {
      for (let left = 1; left > 0;)
        left = ((await client.query('select count(*)::int as n from pg_stat_replication')).rows[0] as { n: number }).n;
    } finally {
      await client.end();
    }
  });
});
