import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findServiceCheck } from '../../activities/checks/index.ts';
import type { CheckedPlace } from '../../activities/checks/index.ts';
import { plainRun } from '../../activities/io/run.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { startPooler } from '../support/pooler.ts';
import { withPostgres, withServerDir } from '../support/postgres.ts';
import { caughtUp, withStandby } from '../support/standby.ts';

const check = findServiceCheck('sql');
const use = (at: CheckedPlace) => ({ service: 'web', name: 'write', at, run: plainRun() });
const placeOf = (port: number): CheckedPlace => ({ name: 'db', host: '127.0.0.1', port, environment: {} });

for (const version of [15, 18])
  test(`sql on PostgreSQL ${version}: a client that may nothing but log in writes and reads; nothing stays`, () =>
    withPostgres({ version, settings: { wal_level: 'replica' } }, async (primary) => {
      const at = use(placeOf(primary.port));
      await primary.sql('create role anna login; create table orders (id int); grant select on orders to anna');
      const options = { user: 'anna', database: 'postgres' };
      const before = await primary.sql('select pg_current_wal_insert_lsn() as lsn');
      const written = await check.ask(options, at);
      assert.deepEqual([written.ok, written.found], [true, 'written and read back']);
      assert.match(written.detail ?? '', /^\d+ ms$/);
      const [{ moved } = {}] = await primary.sql(`select pg_current_wal_flush_lsn() > '${String(before[0]?.['lsn'])}'::pg_lsn as moved`); // prettier-ignore
      assert.equal(moved, true, 'its commit is on the disk');
      const left = await primary.sql(`select relname from pg_class where relname = 'lifeboat_check'`);
      assert.deepEqual(left, []);

      const asks = (query: string) => check.ask({ ...options, query }, at);
      assert.equal((await asks('select count(*) = 0 from orders')).ok, true);
      const rows: [string, string][] = [['select count(*) = 1 from orders', 'false'], ['select id = 1 from orders', 'no row'], ['select null', 'null'], [`select 'true'`, 'true']]; // prettier-ignore
      for (const [query, found] of rows) assert.deepEqual({ ...(await asks(query)) }, { ok: false, expected: 'true', found }, query); // prettier-ignore
      await assert.rejects(asks('select true; drop table orders'), /multiple commands/);
      await assert.rejects(asks('insert into orders values (1)'), (error) => failureTypeOf(error) === 'Denied');

      await withStandby(primary, {}, async (standby) => {
        await caughtUp(primary, standby);
        await assert.rejects(check.ask(options, use(placeOf(standby.port))), /read-only|recovery/);
        await assert.rejects(
          check.ask({ ...options, host: '127.0.0.1', port: standby.port }, at),
          /read-only|recovery/,
        );
      });

      await primary.sql('alter database postgres set default_transaction_read_only = on');
      await assert.rejects(check.ask(options, at), /read-only/);
      await primary.sql('begin read write; alter database postgres reset default_transaction_read_only; commit');
      await primary.sql('revoke temporary on database postgres from public');
      await assert.rejects(check.ask(options, at), /temporary/);
      await assert.rejects(check.ask({ ...options, user: 'nobody-there' }, at), /nobody-there/);
    }));

test('sql by a pooler in transaction pooling, as clients come', () =>
  withServerDir((dir) =>
    withPostgres({}, async (primary) => {
      await using pooler = await startPooler(dir, {
        entries: [`shop = host=127.0.0.1 port=${primary.port} dbname=postgres`],
      });
      const options = { user: 'postgres', database: 'shop', host: '127.0.0.1', port: pooler.port };
      const nowhere = use(placeOf(1));
      for (let time = 0; time < 3; time++) assert.equal((await check.ask(options, nowhere)).ok, true);
      await pooler.kill();
      await assert.rejects(check.ask({ ...options, timeout: '1s' }, nowhere), (error) => failureTypeOf(error) === 'Unavailable'); // prettier-ignore
    }),
  ));

test('a server that takes the connection and says nothing more: an end within the limit', () =>
  withPostgres({}, async (primary) => {
    const options = { user: primary.connection.user, query: 'select pg_sleep(60) is not null', timeout: '300ms' };
    await assert.rejects(check.ask(options, use(placeOf(primary.port))), /timeout|time/);
  }));
