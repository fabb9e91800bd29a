import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serverPlace } from '../../activities/io/postgres/choose-server.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { query, serverSchema } from '../../activities/io/postgres/connection.ts';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import { withRecovered } from '../../activities/sources/postgres/recovery/session.ts';
import { createRowRescue } from '../../activities/sources/postgres/rescue/index.ts';
import type { DifferingRow } from '../../activities/sources/row-rescue.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import type { PartialPlan } from '../../workflows/model/partial.ts';
import type { Difference } from '../../workflows/model/rescue.ts';
import { isChanged } from '../../workflows/model/rescue.ts';
import { recoveryOptions, valueOf, withScene } from '../support/recovery.ts';
import { fillTables, ignore, NAMES, waiting, withCopy } from '../support/rescue.ts';

/** The commit waits for whoever holds the lock: what an early trigger puts off fires as late as that. */
const HELD = `
  delete from shop.tree where id = 'ä300';
  create function shop.later() returns trigger language plpgsql as
    'begin set constraints all deferred; insert into shop.bare values (2); return null; end';
  create constraint trigger held after insert on shop.bare deferrable initially deferred
    for each row execute function shop.hold();
  create constraint trigger later after insert on shop.tree deferrable initially deferred
    for each row execute function shop.later()`;

/** One row is not overwritten. */
const KEEPING = `
  create function shop.keep() returns trigger language plpgsql as
    'begin if new.id = 4 then return null; end if; return new; end';
  create trigger keep before update on shop.orders for each row execute function shop.keep()`;

/** The update waits for whoever holds the lock, when all is compared. */
const WAITING = `
  create function shop.hold() returns trigger language plpgsql as
    'begin perform pg_catalog.pg_advisory_xact_lock(4711); return null; end';
  create trigger wait before update on shop.orders for each statement execute function shop.hold()`;

/** Triggers that change what is written: one at once, one at the end of the transaction. */
const CHANGING = `
  delete from shop.lines where order_id in (3, 6, 9);
  delete from shop.tree where id in ('ä299', 'ä300');
  create function shop.stamp() returns trigger language plpgsql as
    'begin if new.order_id < 9 then new.note = current_setting(''idle_in_transaction_session_timeout''); end if; return new; end';
  create trigger stamp before insert on shop.lines for each row execute function shop.stamp();
  create function shop.undo() returns trigger language plpgsql as
    'begin delete from shop.tree where id = ''ä299''; return null; end';
  create constraint trigger undo after insert on shop.tree deferrable initially deferred
    for each row execute function shop.undo()`;
const UNCHANGING = `
  drop trigger stamp on shop.lines; drop trigger undo on shop.tree;
  insert into shop.tree select 'ä299', 'ä149', 299;
  update shop.lines set note = repeat('note ', 3) || 'customer ' || order_id where note = '10min'`;

function countsOf({ tables }: Pick<Difference, 'tables'>): Record<string, number[]> {
  return Object.fromEntries(
    tables.map(({ table, chosen, missing, differing, extra }) => [table, [chosen, missing, differing, extra]]),
  );
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: rows that are gone come back as they were, once, and nothing else is touched`, (t) =>
    withScene({ version, before: fillTables }, async (scene) => {
      const sums = async (where = 'true'): Promise<string> =>
        valueOf(
          (text) => scene.server.sql(text, 'crm'),
          `select string_agg(md5(o::text), '' order by id) from shop.orders o where ${where}`,
        );
      const before = await sums('id <= 900 and id not in (1, 2, 4)');
      const whole = await sums('id <= 900');
      await withCopy(scene, async (world) => {
        const { rescue, task, crm } = world;
        const noted: DifferingRow[] = [];
        const found = await rescue.compare(task, async (row) => void noted.push(row));

        await t.test('the difference is what was done', () => {
          assert.deepEqual(countsOf(found), {
            'shop.lines': [900, 300, 0, 0],
            'shop.orders': [900, 300, 3, 2],
            'shop.tree': [300, 300, 0, 0],
            'shop.events': [400, 300, 0, 0],
          });
          assert.deepEqual([found.inserts, found.updates], [1200, 0]);
          assert.equal(noted.length, 1205);
          const orders = noted.filter(({ table }) => table === 'shop.orders');
          const keys = (what: string): string[] => orders.filter((row) => row.what === what).map(({ key }) => key);
          assert.deepEqual(keys('differing').toSorted(), ['(1)', '(2)', '(4)']);
          assert.deepEqual(keys('extra').toSorted(), ['(901)', '(902)']);
        });

        await t.test('a condition that writes is refused on both sides, and has written nothing', async () => {
          const several = 'true), false); delete from shop.bare; commit; select coalesce((true';
          for (const where of [several, 'shop.pure()']) {
            await assert.rejects(rescue.check(task.plan, { tables: ['orders'], where }), (error) => {
              const { place, found } = failureFacts(error);
              assert.match(found ?? '', /multiple commands|read-only transaction/);
              return failureTypeOf(error) === 'ConfigInvalid' && place === 'where';
            });
          }
          const inCopy = (text: string): Promise<Record<string, unknown>[]> =>
            withRecovered(task.plan, { database: 'crm' }, (client) => query(client, text));
          for (const where of [several, 'shop.pure()', 'shop.empty()'])
            await assert.rejects(
              rescue.compare({ ...task, tables: ['orders'], where }, ignore),
              /multiple commands|read-only/,
            );
          assert.deepEqual(await inCopy('select v from shop.bare'), [{ v: 1 }]);
          assert.deepEqual(await crm('select v from shop.bare'), [{ v: 1 }]);
        });

        await t.test('a row that has changed since keeps all of it from being written', async () => {
          await crm('delete from shop.events where id = 1');
          await assert.rejects(rescue.write({ ...task, hash: found.hash }), isChanged);
          assert.equal(await valueOf(crm, 'select count(*) from shop.tree'), '0');
          await crm(`insert into shop.events values ('2025-06-02', 1, 'event 1')`);
        });

        await t.test('what must be unique and is taken keeps all of it from being written', async () => {
          await crm(`update shop.orders set customer = 'customer 3' where customer = 'new'`);
          const { hash } = await rescue.compare(task, ignore);
          await assert.rejects(rescue.write({ ...task, hash }), (error) => {
            assert.equal(failureTypeOf(error), 'Precondition');
            return /1 of 300 rows of shop\.orders cannot be inserted/.test(String(error));
          });
          assert.equal(await valueOf(crm, 'select count(*) from shop.tree'), '0');
          await crm(`update shop.orders set customer = 'new' where customer = 'customer 3'`);
        });

        await t.test('written in one transaction, by the order of keys, with triggers; once', async () => {
          // One that was given up before: the server knows that it was.
          const aborted = await world.server.connect('crm');
          await aborted.query('begin');
          const [row] = (await aborted.query<{ xid: string }>('select pg_current_xact_id()::text as xid')).rows;
          await aborted.query('rollback');
          await aborted.end();
          const attempt = join(`${task.plan.into}.lifeboat`, 'rescued.json');
          const attempted = (server: string): Promise<void> =>
            writeFile(
              attempt,
              JSON.stringify({ hash: found.hash, rescued: { server, xid: row?.xid, tables: [], behind: [] } }),
            );
          await attempted('the server before a failover');
          await assert.rejects(
            rescue.write({ ...task, hash: found.hash }),
            (error) => failureTypeOf(error) === 'OutcomeUnknown',
          );
          await attempted(serverPlace(world.server.connection));
          const done = await rescue.write({ ...task, hash: found.hash });
          const written = Object.fromEntries(done.tables.map(({ table, inserted }) => [table, inserted]));
          assert.deepEqual(written, { 'shop.lines': 300, 'shop.orders': 300, 'shop.tree': 300, 'shop.events': 300 });
          assert.deepEqual(done.behind, []);
          assert.equal(await sums('id <= 900 and id not in (1, 2, 4)'), before);
          assert.equal(await valueOf(crm, 'select count(*) from shop.orders where id > 900'), '2');
          assert.equal(await valueOf(crm, 'select sum(amount) from shop.orders where id in (1, 2, 4)'), '0.0000');
          assert.deepEqual(await rescue.write({ ...task, hash: found.hash }), done);
          assert.equal(await valueOf(crm, `select count(*) from shop.noted where what = 'INSERT'`), '300');
        });

        await t.test('a row that was to be overwritten and has changed again is shown again', async () => {
          const wish = { ...task, tables: ['orders'], overwrite: true };
          const { hash } = await rescue.compare(wish, ignore);
          await crm('update shop.orders set amount = 1 where id = 2');
          await assert.rejects(rescue.write({ ...wish, hash }), isChanged);
          await crm('update shop.orders set amount = 0 where id = 2');
          // Approved without, it is not written with it.
          const other = await rescue.compare({ ...wish, overwrite: false }, ignore);
          assert.notEqual(other.hash, hash);
          await assert.rejects(rescue.write({ ...wish, hash: other.hash }), isChanged);
        });

        await t.test(
          'a trigger that keeps rows from being overwritten keeps all of it from being written',
          async () => {
            await crm(KEEPING);
            const wish = { ...task, tables: ['orders', 'tree'], overwrite: true };
            const { hash } = await rescue.compare(wish, ignore);
            await assert.rejects(rescue.write({ ...wish, hash }), (error) => {
              assert.equal(failureTypeOf(error), 'Precondition');
              return /1 of 3 rows of shop\.orders cannot be overwritten: a trigger/.test(String(error));
            });
            await crm('drop trigger keep on shop.orders');
          },
        );

        await t.test(
          'somebody who writes one of the rows meanwhile: nothing is written, and it is tried again',
          async () => {
            await crm(WAITING);
            const holder = await world.server.connect('crm');
            try {
              const wish = { ...task, tables: ['orders'], overwrite: true };
              const { hash } = await rescue.compare(wish, ignore);
              await holder.query('select pg_advisory_lock(4711)');
              const writing = rescue.write({ ...wish, hash });
              await Promise.race([writing, waiting(crm)]);
              await holder.query('update shop.orders set amount = amount where id = 2');
              await holder.query('select pg_advisory_unlock(4711)');
              await assert.rejects(
                writing,
                (error) => failureTypeOf(error) === 'Busy' && /nothing was written/.test(String(error)),
              );
            } finally {
              await holder.end();
              await crm('drop trigger wait on shop.orders');
            }
          },
        );

        await t.test('what differs is overwritten when that is wished, and of the chosen rows only', async () => {
          const wish = { ...task, tables: ['orders'], overwrite: true };
          const some = await rescue.compare({ ...wish, where: 'id < 3 -- the first' }, ignore);
          assert.deepEqual([countsOf(some)['shop.orders'], some.updates], [[2, 0, 2, 2], 2]);
          const { hash, updates } = await rescue.compare(wish, ignore);
          assert.equal(updates, 3);
          const { tables } = await rescue.write({ ...wish, hash });
          assert.deepEqual(tables, [{ table: 'shop.orders', inserted: 0, overwritten: 3 }]);
          assert.equal(await sums('id <= 900'), whole);
        });

        await t.test('a sequence that was set back is told', async () => {
          await crm('truncate shop.orders, shop.lines restart identity');
          const { hash } = await rescue.compare(task, ignore);
          const { behind } = await rescue.write({ ...task, hash });
          assert.deepEqual(behind, ['shop.orders.id: sequence at 0, rows to 900']);
          assert.equal(await sums(), whole);
        });

        await t.test('rows that triggers change are read back, and told with their keys', async () => {
          await crm(CHANGING);
          const wish = { ...task, tables: ['lines', 'tree'] };
          const { hash, tables } = await rescue.compare(wish, ignore);
          assert.deepEqual(tables.map(({ triggers }) => triggers), [['stamp'], ['undo']]); // prettier-ignore
          const { otherwise, tables: written } = await rescue.write({ ...wish, hash });
          assert.deepEqual(otherwise, [
            { table: 'shop.lines', rows: 2, first: ['(3,1)', '(6,1)'], triggers: ['stamp'] },
            { table: 'shop.tree', rows: 1, first: ['(ä299)'], triggers: ['undo'] },
          ]);
          assert.deepEqual(written.map(({ inserted }) => inserted).toSorted(), [2, 3]); // prettier-ignore
          // A worker that is cut off while it writes does not hold its locks for ever.
          assert.deepEqual(await crm('select distinct note from shop.lines where order_id in (3, 6)'), [
            { note: '10min' },
          ]);
          await crm(UNCHANGING);
          assert.deepEqual((await rescue.compare(wish, ignore)).inserts, 0);
        });

        await t.test('who is cancelled while it is committed hears that it was', async () => {
          await crm(HELD);
          const holder = await world.server.connect('crm');
          try {
            const wish = { ...task, tables: ['tree'] };
            const { hash } = await rescue.compare(wish, ignore);
            await holder.query('select pg_advisory_lock(4711)');
            const stopper = new AbortController();
            const late = createRowRescue(recoveryOptions(world.server), plainRun({ signal: stopper.signal }));
            const writing = late.write({ ...wish, hash });
            await Promise.race([writing, waiting(crm)]);
            stopper.abort(new Error('cancelled in the test'));
            await holder.query('select pg_advisory_unlock(4711)');
            assert.deepEqual((await writing).tables, [{ table: 'shop.tree', inserted: 1, overwritten: 0 }]);
            assert.equal(await valueOf(crm, 'select count(*) from shop.tree'), '300');
          } finally {
            await holder.end();
          }
        });

        await t.test('rows do not go into another database that has the name now', async () => {
          const partial = { ...task.plan.partial, oid: 5, database: 'crm' } as PartialPlan;
          const other = { ...task, plan: { ...task.plan, partial } };
          for (const look of [() => rescue.compare(other, ignore), () => rescue.check(other.plan, { tables: NAMES })])
            await assert.rejects(look, (error) => {
              const { expected, place } = failureFacts(error);
              assert.deepEqual([expected, place], ['the database with oid 5', 'database crm']);
              return failureTypeOf(error) === 'Precondition';
            });
        });

        await t.test(
          'a restore.server that is another cluster, or not there, is told before there is a copy',
          async () => {
            const base = { ...task.plan.base, systemId: '7' };
            for (const look of [
              () => rescue.check({ ...task.plan, base }, { tables: NAMES }),
              () => rescue.compare({ ...task, plan: { ...task.plan, base } }, ignore),
            ])
              await assert.rejects(look, (error) => {
                const { place, expected = '' } = failureFacts(error);
                assert.deepEqual([place, failureTypeOf(error)], ['restore.server', 'Precondition']);
                return /^the primary of the cluster with system identifier 7$/.test(expected);
              });
            const options = recoveryOptions(world.server);
            const server = serverSchema.parse({ ...world.server.connection, port: await freePort() });
            const astray = createRowRescue({ ...options, restore: { ...options.restore, server } }, plainRun());
            await assert.rejects(
              astray.check(task.plan, { tables: NAMES }),
              (error) => failureTypeOf(error) === 'Unavailable' && String(error).includes(`:${server.port}`),
            );
          },
        );

        await t.test(
          'what cannot be taken is refused before there is a copy, and a table that has changed',
          async () => {
            const refused = async (
              wish: { tables: string[]; where?: string },
              type: string,
              place: string,
            ): Promise<void> =>
              assert.rejects(rescue.check(task.plan, wish), (error) => {
                const facts = failureFacts(error);
                assert.ok(facts.expected && facts.found && facts.hint, JSON.stringify(facts));
                return failureTypeOf(error) === type && facts.place === place;
              });
            await refused({ tables: ['orderz'] }, 'NotFound', 'tables');
            await refused({ tables: ['bare'] }, 'Unsupported', 'tables');
            await refused({ tables: ['orders'], where: 'custmer = 1' }, 'ConfigInvalid', 'where');
            await crm('create schema other; create table other.tree (id int primary key)');
            await refused({ tables: ['tree'] }, 'ConfigInvalid', 'tables');
            await crm('drop schema other cascade');
            await rescue.check(task.plan, { tables: NAMES });
            await crm('create role plain login; grant execute on function pg_catalog.pg_control_system() to plain');
            const connection = { ...world.server.connection, user: 'plain' };
            const plain = createRowRescue(recoveryOptions(world.server, { connection }), plainRun());
            await assert.rejects(
              plain.check(task.plan, { tables: ['orders'], where: 'id > 0' }),
              (error) => failureTypeOf(error) === 'Denied' && /orders|shop/.test(String(error)),
            );
            await crm('alter table shop.tree add column w int');
            await assert.rejects(rescue.compare(task, ignore), (error) => failureTypeOf(error) === 'Precondition');
          },
        );

        await t.test('what was brought over and got no name is dropped, and nothing else', async () => {
          const into = { name: 'crm', temporary: 'lifeboat_1', aside: 'crm_1', replace: false, roles: [] };
          const plan = { ...task.plan, partial: { ...task.plan.partial, bring: { into } } as PartialPlan };
          const recovery = createRecovery('shop', recoveryOptions(world.server), plainRun());
          const there = (): Promise<unknown> =>
            world.server.sql(`select datname as name from pg_database where datname ~ '^(crm|lifeboat)' order by 1`);
          await assert.rejects(async () => recovery.bring?.(plan), /exists and is not empty/);
          assert.deepEqual(await there(), [{ name: 'crm' }, { name: 'lifeboat_1' }]);
          await recovery.dropBrought?.(plan);
          assert.deepEqual(await there(), [{ name: 'crm' }]);
        });
      });
    }));
}
