import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { connect, query, serverSchema } from '../../activities/io/postgres/connection.ts';
import { checkSource } from '../../activities/sources/postgres/check-servers.ts';
import type { SourceCheck } from '../../activities/sources/source.ts';
import { identityOf } from '../../activities/sources/postgres/identity.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { withPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';

type Overrides = { connection?: Record<string, unknown>; probes?: unknown[] };

async function checks(server: TestPostgres, overrides: Overrides = {}): Promise<Map<string, SourceCheck>> {
  const { connection, ...rest } = overrides;
  const options = postgresSchema.parse({ connection: { ...server.connection, ...connection }, ...rest });
  return new Map((await checkSource(options, plainRun())).map((check) => [check.name, check]));
}

const failed = (found: Map<string, SourceCheck>): string[] =>
  [...found.values()].filter((check) => !check.ok).map((check) => check.name);

const stopping = (found: Map<string, SourceCheck>): string[] =>
  [...found.values()].filter((check) => !check.ok && !check.backupGoesOn).map((check) => check.name);

for (const version of [15, 17, 18]) {
  test(`PostgreSQL ${version}: a good server passes every check, a plain role is told what it lacks`, async () => {
    await withPostgres({ version }, async (server) => {
      await server.sql('create table orders (id int); create role plain login');
      const probes = [{ sql: 'select count(*) from orders', atLeast: 0 }];
      assert.deepEqual(failed(await checks(server, { probes })), []);

      const plain = await checks(server, { connection: { user: 'plain' }, probes });
      assert.deepEqual(failed(plain), ['replication right', 'replication connection']);
      assert.match(plain.get('probe 1')?.hint ?? '', /the proof asks as superuser/);
      assert.equal(plain.get('replication right')?.hint, 'alter role "plain" replication');
      assert.equal(plain.get('replication connection')?.hint, 'alter role "plain" replication');
    });
  });
}

test('a probe is planned, never run, and cannot hide a second statement', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    const probes = [
      { sql: 'select 1; create table evil ()', equals: 1 },
      { sql: 'select no_such_column', equals: 1 },
    ];
    const found = await checks(server, { probes });
    assert.deepEqual(failed(found), ['probe 1', 'probe 2']);
    assert.deepEqual(stopping(found), [], 'a wrong probe stops no backup');
    assert.deepEqual(await server.sql(`select 1 from pg_class where relname = 'evil'`), []);
  });
});

test('advice and refusals name the setting', async () => {
  const settings = {
    ...{ max_wal_senders: '1', max_replication_slots: '1', archive_mode: 'on', full_page_writes: 'off' },
    max_slot_wal_keep_size: '1GB',
  };
  await withPostgres({ version: 18, settings, initdb: ['--no-data-checksums'] }, async (server) => {
    await server.sql(`select pg_create_physical_replication_slot('other')`);
    const found = await checks(server);
    assert.deepEqual(failed(found), ['max_replication_slots', 'archiving']);
    assert.deepEqual(stopping(found), [], 'these stop no backup');
    assert.match(found.get('max_replication_slots')?.found ?? '', /^1 of 1 in use/);
    assert.match(found.get('max_wal_senders')?.hint ?? '', /raise max_wal_senders/);
    assert.match(found.get('data checksums')?.hint ?? '', /pg_checksums --enable/);
    assert.match(found.get('full_page_writes')?.hint ?? '', /full_page_writes = on/);
    assert.deepEqual(found.get('max_slot_wal_keep_size'), {
      name: 'max_slot_wal_keep_size',
      ok: true,
      found: '1.0 GiB',
    });
  });
});

test('slots: one that lost its WAL, ones that nobody reads, and what mends each', async () => {
  const settings = { max_wal_size: '32MB', min_wal_size: '32MB', wal_keep_size: '0' };
  await withPostgres({ version: 18, settings }, async (server) => {
    const options = postgresSchema.parse({ connection: server.connection });
    const slots = async (own: string[]): Promise<SourceCheck[]> =>
      (await checkSource(options, plainRun(), { slots: own })).filter(({ name }) => name.includes('slot ') || name.endsWith(' slot')); // prettier-ignore
    const make = (name: string): Promise<unknown> =>
      server.sql(`select pg_create_physical_replication_slot('${name}', true)`);
    /** State, and what is found and hinted at, of each. */
    const told = async (): Promise<string[]> =>
      (await slots(['lifeboat_shop'])).map(({ name, ok, backupGoesOn, found, hint }) =>
        [name, ok ? 'ok' : 'fault', backupGoesOn === true, found, hint].join('; '),
      );
    const before = await told();
    assert.equal(before.length, 1);
    assert.match(before.join(), /^replication slot; ok; false; lifeboat_shop is not there/);
    for (const name of ['lifeboat_shop', 'other']) await make(name);
    const fresh = await told();
    assert.equal(fresh.length, 1, 'a slot that keeps no more than checkpoints do is no finding');
    assert.match(fresh.join(), /^replication slot; ok; false; lifeboat_shop is not in use/);

    // One of a stream that there is not to be any more keeps all that comes, however little that is now.
    await make('lifeboat_shop_2');
    const wants = { slots: ['lifeboat_shop'], leftSlots: ['lifeboat_shop_2', 'lifeboat_shop_3'] };
    const left = (await checkSource(options, plainRun(), wants)).filter(({ name }) => name.startsWith('slot '));
    assert.deepEqual(left.map(({ name, ok, backupGoesOn }) => [name, ok, backupGoesOn]), [['slot lifeboat_shop_2', false, true]]); // prettier-ignore
    assert.match(left[0]?.found ?? '', /^keeps [\d.]+ \w+ of WAL for a stream that wal\.streams does not name$/);
    assert.match(left[0]?.hint ?? '', /lifeboat apply .* select pg_drop_replication_slot\('lifeboat_shop_2'\)$/);
    await server.sql(`select pg_drop_replication_slot('lifeboat_shop_2')`);

    const fill = async (): Promise<void> => {
      for (let segment = 0; segment < 5; segment++)
        await server.sql(`select pg_logical_emit_message(false, 'test', 'x'); select pg_switch_wal()`);
      await server.sql('checkpoint');
    };
    await fill();
    const [own = '', other = '', ...more] = await told();
    assert.deepEqual(more, []);
    assert.match(
      own,
      /^replication slot; fault; true; lifeboat_shop keeps [\d.]+ MiB of WAL, and nobody reads it; lifeboat apply /,
    );
    assert.match(other, /^slot other; fault; true; keeps .*; .* select pg_drop_replication_slot\('other'\)$/);

    await server.sql(`alter system set max_slot_wal_keep_size = '32MB'`);
    await server.sql('select pg_reload_conf()');
    await fill();
    const lost = await told();
    assert.equal(lost.length, 1);
    assert.match(
      lost.join(),
      /^replication slot; fault; true; lifeboat_shop was invalidated: wal_removed; lifeboat apply /,
    );
    assert.match(lost.join(), /by hand: select pg_drop_replication_slot\('lifeboat_shop'\)/);
  });
});

test('a function that was taken away is asked back by its name', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql('create role plain login replication');
    for (const name of ['pg_logical_emit_message(boolean, text, text, boolean)', 'pg_control_system()'])
      await server.sql(`revoke execute on function ${name} from public`);
    const found = await checks(server, { connection: { user: 'plain' } });
    assert.deepEqual(failed(found), ['identity', 'heartbeat']);
    assert.equal(
      found.get('heartbeat')?.hint,
      'grant execute on function pg_logical_emit_message(boolean,text,text,boolean) to "plain"',
    );
  });
});

test('a clock that is wrong is told', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    const clock = { nowMs: () => Date.now() - 90_000, sleep: () => Promise.resolve() };
    const options = postgresSchema.parse({ connection: server.connection });
    const found = await checkSource(options, plainRun({ clock }));
    const wrong = found.filter((check) => !check.ok);
    assert.deepEqual(
      wrong.map((check) => check.name),
      ['clock'],
    );
    assert.match(wrong[0]?.found ?? '', /^1m(29|30)s ahead of ours$/);
  });
});

test('nobody there: one line, with what to do', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.stop();
    const found = await checks(server);
    assert.deepEqual(failed(found), ['connection']);
    assert.match(found.get('connection')?.hint ?? '', /start the server/);
  });
});

test('identity is the same through SQL and the walsender', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    const options = postgresSchema.parse({ connection: server.connection });
    const identity = await identityOf(options, plainRun());
    const [row] = await server.sql(`select system_identifier::text as id from pg_control_system()`);
    assert.equal(identity.systemId, row?.['id']);
    assert.equal(identity.timeline, 1);
    assert.equal(identity.segmentBytes, 16 * 1024 * 1024);
    assert.equal(Math.floor(identity.serverVersion / 10_000), 18);
    assert.ok(identity.sizeBytes > 10_000_000);
  });
});

test('the signal ends a statement at once', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    const stop = new AbortController();
    const options = serverSchema.parse(server.connection);
    const client = await connect(options, { signal: stop.signal });
    const running = query(client, 'select pg_sleep(600)');
    stop.abort(new Error('enough'));
    await assert.rejects(running, /enough/);
    await assert.rejects(query(client, 'select 1'), /enough/);
    const late = connect(options, { signal: stop.signal });
    await assert.rejects(late, /enough/);
  });
});
