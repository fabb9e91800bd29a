import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from '../soak/model/change.ts';
import { HOME, tableOf } from '../soak/model/change.ts';
import { Model } from '../soak/model/model.ts';
import { wrongOrders } from '../soak/model/orders.ts';
import { payloadSum, statementsOf } from '../soak/model/sql.ts';

const T = { database: HOME, table: 't' };
const CREATE: Change = { kind: 'create-table', ...T, width: 2, unlogged: false };
const INSERT: Change = { kind: 'insert', ...T, from: 1, count: 4 };

/** Versions by id, as they must be after so many commits. */
const rowsOf = (model: Model, commits = model.commits): [number, number][] => [...tableOf(model.asOf(commits), T).rows];

test('every commit can be gone back to', () => {
  const model = new Model();
  model.commit([CREATE, INSERT]);
  model.commit([{ kind: 'update', ...T, modulo: 2, rest: 0 }]);
  model.commit([{ kind: 'delete', ...T, modulo: 3, rest: 1 }]);
  model.commit([{ kind: 'truncate', ...T }]);
  model.commit([{ kind: 'insert', ...T, from: 5, count: 1 }]);
  const all = [1, 2, 3, 4, 5].map((commits) => rowsOf(model, commits));
  assert.deepEqual(all, [
    [1, 2, 3, 4].map((id) => [id, 1]),
    [
      [1, 1],
      [2, 2],
      [3, 1],
      [4, 2],
    ],
    [
      [2, 2],
      [3, 1],
    ],
    [],
    [[5, 1]],
  ]);
  assert.deepEqual(model.now, model.asOf(5));
  assert.equal(model.asOf(0).databases.get(HOME)?.size, 0);
});

test('what is prepared is pending until it is committed, and gone when it is rolled back', () => {
  const model = new Model();
  model.commit([CREATE, INSERT]);
  const [one, two] = ['one', 'two'].map((gid): Change & { kind: 'prepare' } => ({
    ...{ kind: 'prepare', gid, database: HOME, changes: [{ kind: 'update', ...T, modulo: 1, rest: 0 }] },
  }));
  assert.ok(one && two);
  model.commit([one]);
  model.commit([two]);
  assert.deepEqual([...model.now.prepared.keys()], ['one', 'two']);
  model.commit([{ kind: 'rollback-prepared', gid: 'one', database: HOME }]);
  assert.deepEqual(rowsOf(model)[0], [1, 1]);
  model.commit([{ kind: 'commit-prepared', gid: 'two', database: HOME }]);
  assert.deepEqual(rowsOf(model)[0], [1, 2]);
  assert.equal(model.now.prepared.size, 0);
  assert.throws(() => model.commit([{ kind: 'commit-prepared', gid: 'two', database: HOME }]), /nothing is prepared/);
});

test('databases, columns and indexes come and go with what they hold', () => {
  const model = new Model();
  const elsewhere = { database: 'd', table: 't' };
  model.commit([{ kind: 'create-database', database: 'd' }]);
  model.commit([{ kind: 'create-table', ...elsewhere, width: 1, unlogged: true }]);
  model.commit([
    { kind: 'add-column', ...elsewhere, column: 'c', value: 5 },
    { kind: 'add-index', ...elsewhere, index: 'i' },
  ]);
  assert.deepEqual(
    [...tableOf(model.now, elsewhere).columns, ...tableOf(model.now, elsewhere).indexes],
    [['c', 5], 'i'],
  );
  model.commit([{ kind: 'drop-database', database: 'd' }]);
  assert.throws(() => tableOf(model.now, elsewhere), /no database d/);
  assert.throws(() => tableOf(model.now, T), /no table t/);
  assert.equal(tableOf(model.asOf(3), elsewhere).unlogged, true);
});

test('a checksum of a row is that of the bytes that the server is told to make', () => {
  // select md5(string_agg(md5(7 || ':' || 2 || ':' || part), '' order by part)) from generate_series(1, 2) part
  assert.equal(payloadSum({ id: 7, version: 2, width: 2 }), '024ea47c55c55549b4bb3dab3c6ffae3');
  assert.match(statementsOf(INSERT, 2).join(), /generate_series\(1, 4\) as made\(id\)$/);
});

test('orders: all that must be there, none that must not', () => {
  const refused = new Set([3]);
  assert.deepEqual(wrongOrders([1, 2, 4], { must: 4, may: 5, refused }), []);
  assert.deepEqual(wrongOrders([1, 2, 4, 5], { must: 4, may: 5, refused }), []);
  const wrong = wrongOrders([1, 3, 6], { must: 4, may: 5, refused });
  assert.deepEqual(wrong, [
    '2 acknowledged orders are missing: 2, 4',
    '1 orders are newer than the moment: 6',
    '1 orders were never acknowledged: 3',
  ]);
});
