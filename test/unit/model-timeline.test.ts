import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import {
  historyFileName,
  historyOf,
  isOnHistory,
  leftAt,
  parseHistory,
  timelineAt,
} from '../../workflows/model/timeline.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import { gapsOf, isoMicros, rangeHolding, rangesOf } from '../../workflows/model/wal-coverage.ts';

const THREE = parseHistory(
  3,
  '1\t0/5000060\tno recovery target specified\n\n# a remark\n2\t0/7000100\tbefore 2026-01-05 03:00:00+00\n',
);

test('timeline history: lines as the server writes them', () => {
  assert.deepEqual(THREE, {
    timeline: 3,
    ancestors: [
      { timeline: 1, switchLsn: '0/5000060', reason: 'no recovery target specified' },
      { timeline: 2, switchLsn: '0/7000100', reason: 'before 2026-01-05 03:00:00+00' },
    ],
  });
  assert.equal(historyFileName(26), '0000001A.history');
  for (const text of ['hello', 'x\t0/1\t', '1\tzz/1\tr'])
    assert.throws(() => parseHistory(2, text), (error) => failureTypeOf(error) === 'Integrity', text); // prettier-ignore
});

test('timeline history: a switch point belongs to the newer timeline', () => {
  const cases: [string, number][] = [
    ['0/0', 1],
    ['0/500005F', 1],
    ['0/5000060', 2],
    ['0/70000FF', 2],
    ['0/7000100', 3],
    ['FF/0', 3],
  ];
  for (const [lsn, timeline] of cases) assert.equal(timelineAt(THREE, lsn), timeline, lsn);
  assert.equal(leftAt(THREE, 2), '0/7000100');
  assert.equal(leftAt(THREE, 4), undefined);
});

test('timeline history: what is part of it', () => {
  assert.ok(isOnHistory(THREE, 3, 'FF/0'));
  assert.ok(isOnHistory(THREE, 1, '0/5000060'));
  assert.ok(!isOnHistory(THREE, 1, '0/5000061'));
  assert.ok(!isOnHistory(THREE, 4, '0/1'));
  assert.deepEqual(historyOf([THREE], 3), THREE);
  assert.deepEqual(historyOf([THREE], 1), { timeline: 1, ancestors: [] });
  assert.equal(historyOf([THREE], 2), undefined);
});

type Piece = [timeline: number, startLsn: string, endLsn: string, lastCommitMicros?: number];

function object(...[timeline, startLsn, endLsn, lastCommitMicros]: Piece): WalObject {
  const commit = lastCommitMicros === undefined ? {} : { lastCommitMicros };
  return { systemId: '1', timeline, startLsn, endLsn, key: `${timeline}/${startLsn}`, storedBytes: 10, ...commit };
}

test('WAL coverage: pieces join in any order, overlap and repeat; timelines do not mix', () => {
  const objects = [
    object(2, '0/300', '0/400'),
    object(1, '0/200', '0/300', 5_000_000),
    object(1, '0/100', '0/200', 7_000_001),
    object(1, '0/100', '0/200', 7_000_001),
    object(1, '0/180', '0/280'),
    object(1, '0/301', '0/400'),
  ];
  const ranges = rangesOf(objects);
  assert.deepEqual(
    ranges.map(({ timeline, startLsn, endLsn, objects: count, storedBytes, lastCommitAt }) =>
      [timeline, startLsn, endLsn, count, storedBytes, lastCommitAt]), // prettier-ignore
    [
      [1, '0/100', '0/300', 4, 40, '1970-01-01T00:00:07.000001Z'],
      [1, '0/301', '0/400', 1, 10, undefined],
      [2, '0/300', '0/400', 1, 10, undefined],
    ],
  );
  assert.deepEqual(gapsOf(ranges), [{ timeline: 1, fromLsn: '0/300', toLsn: '0/301', bytes: 1 }]);
  assert.deepEqual(rangesOf(objects.toReversed()), ranges);
  assert.deepEqual([rangesOf([]), gapsOf([])], [[], []]);
});

test('WAL coverage: a piece inside another does not shorten it; positions compare as numbers', () => {
  const [range, ...more] = rangesOf([object(1, '0/100', '0/1000'), object(1, '0/200', '0/300'), object(1, '0/FFF', '1/0')]); // prettier-ignore
  assert.deepEqual(more, []);
  assert.equal(range?.endLsn, '1/0');
});

test('WAL coverage: what holds a span', () => {
  const ranges = rangesOf([object(1, '0/100', '0/300'), object(2, '0/200', '0/400')]);
  assert.equal(rangeHolding(ranges, 1, { from: '0/100', to: '0/300' })?.timeline, 1);
  assert.equal(rangeHolding(ranges, 1, { from: '0/100', to: '0/301' }), undefined);
  assert.equal(rangeHolding(ranges, 1, { from: '0/FF', to: '0/200' }), undefined);
  assert.equal(rangeHolding(ranges, 2, { from: '0/100', to: '0/300' }), undefined);
  assert.equal(isoMicros(1_767_582_004_123_456), '2026-01-05T03:00:04.123456Z');
});
