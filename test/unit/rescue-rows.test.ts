import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Change, KeyedRow } from '../../activities/sources/postgres/rescue/rows.ts';
import { mergeRows } from '../../activities/sources/postgres/rescue/rows.ts';
import { checkPartial, describeLeftOut, leftOutOf } from '../../workflows/model/partial.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { databaseIn, leavesOut } from '../../activities/sources/postgres/recovery/left-out.ts';
import type { PartialPlan } from '../../workflows/model/partial.ts';

async function* rows(values: Record<string, string>): AsyncGenerator<KeyedRow> {
  const keys = Object.keys(values).map((key) => Buffer.from(key)).sort(Buffer.compare); // prettier-ignore
  for (const key of keys) {
    const hash = createHash('sha256').update(values[key.toString()] ?? '').digest(); // prettier-ignore
    yield { key, hash, id: [key.toString()], bytes: 1, chosen: true };
  }
}

function said(change: Change): [string, string] {
  return [(change.what === 'extra' ? change.now : change.copy).key.toString(), change.what];
}

test('two sides in the order of their keys are compared row by row', async () => {
  const copy = { '(1)': 'a', '(10)': 'a', '(2)': 'a', '(ä)': 'a', '(z)': 'a' };
  const now = { '(10)': 'b', '(3)': 'a', '(z)': 'a', '(ß)': 'a' };
  const found: [string, string][] = [];
  for await (const change of mergeRows(rows(copy), rows(now))) found.push(said(change));
  assert.deepEqual(Object.fromEntries(found), {
    ...{ '(1)': 'missing', '(10)': 'differing', '(2)': 'missing', '(3)': 'extra' },
    ...{ '(z)': 'same', '(ß)': 'extra', '(ä)': 'missing' },
  });
  assert.equal(found.length, 7);
  for (const [one, other, what] of [
    [{}, now, 'extra'],
    [copy, {}, 'missing'],
    [copy, copy, 'same'],
  ] as const)
    // prettier-ignore
    for await (const change of mergeRows(rows(one), rows(other))) assert.equal(change.what, what);
});

test('generated tables: what is told of two sides is what a set says of them', async () => {
  let seed = 7;
  const next = (most: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % most;
  for (let round = 0; round < 50; round++) {
    const side = (): Record<string, string> =>
      Object.fromEntries(Array.from({ length: next(40) }, () => [`(${next(60)})`, String(next(3))]));
    const [copy, now] = [side(), side()];
    const found: Record<string, string> = {};
    for await (const change of mergeRows(rows(copy), rows(now)))
      Object.assign(found, { [said(change)[0]]: change.what });
    const wanted: Record<string, string> = {};
    for (const key of new Set([...Object.keys(copy), ...Object.keys(now)]))
      wanted[key] = !(key in now)
        ? 'missing'
        : !(key in copy)
          ? 'extra'
          : copy[key] === now[key]
            ? 'same'
            : 'differing';
    assert.deepEqual(found, wanted);
  }
});

const PARTIAL: PartialPlan = { database: 'crm', oid: 16400, kept: [1, 4, 5, 16400], leftOut: leftOutOf(['a', 'b']) };

test('of a database that is left out every file is a hole, but for the one that says its version', () => {
  const isHollow = leavesOut(PARTIAL);
  const base = { id: 'base' };
  for (const path of ['base/16401/1259', 'base/16401/1259_vm', 'base/16401/pg_filenode.map', 'base/16401/1259.7'])
    assert.equal(isHollow(base, path), true, path);
  for (const path of ['base/16401/PG_VERSION', 'base/16400/1259', 'base/1/1259', 'global/1262', 'base/pgsql_tmp/1'])
    assert.equal(isHollow(base, path), false, path);
  assert.equal(isHollow({ id: '16500' }, 'PG_18_202506291/16401/1'), true);
  assert.equal(isHollow({ id: '16500' }, 'PG_18_202506291/16400/1'), false);
  assert.equal(leavesOut({ ...PARTIAL, whole: 'why' })(base, 'base/16401/1259'), false);
  assert.equal(leavesOut({ ...PARTIAL, leftOut: leftOutOf([]) })(base, 'base/16401/1259'), false);
  assert.equal(leavesOut(undefined)(base, 'base/16401/1259'), false);
  assert.equal(databaseIn('base/16401/1259_vm'), 16401);
  assert.equal(databaseIn('pg_tblspc/16500/PG_18_202506291/16401/1'), 16401);
  assert.equal(databaseIn('global/1262'), undefined);
});

test('what one database of a cluster cannot go with is refused with its place', () => {
  const source = 'shop';
  const refused: [object, string][] = [
    [{ source, onlySchema: 'sales' }, 'onlySchema'],
    [{ source, intoDatabase: 'new' }, 'intoDatabase'],
    [{ source, onlyDatabase: 'crm', onlyTable: 'orders' }, 'onlyTable'],
    [{ source, onlyDatabase: 'crm', inPlace: true }, 'inPlace'],
    [{ source, onlyDatabase: 'crm', action: 'pause' }, 'action'],
    [{ source, onlyDatabase: 'crm', action: 'shutdown' }, 'action'],
  ];
  for (const [order, place] of refused)
    assert.throws(
      () => checkPartial(order),
      (error) => failureTypeOf(error) === 'ConfigInvalid' && failureFacts(error).place === place,
    );
  for (const more of [{}, { action: 'promote' as const }, { onlyTable: 'orders', intoDatabase: 'new' }])
    assert.doesNotThrow(() => checkPartial({ source, onlyDatabase: 'crm', ...more }));
  assert.equal(describeLeftOut(leftOutOf(['a'])), '1 other: a');
  assert.equal(describeLeftOut(leftOutOf(['a', 'b', 'c', 'd', 'e', 'f'])), '6 others: a, b, c, d, e, ...');
});
