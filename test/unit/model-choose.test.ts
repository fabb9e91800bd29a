import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Choice, Wish } from '../../workflows/model/choose.ts';
import { chooseRoute, isAtOrAfter } from '../../workflows/model/choose.ts';
import type { Holdings } from '../../workflows/model/coverage-walk.ts';
import { walkFrom } from '../../workflows/model/coverage-walk.ts';
import { estimateOf } from '../../workflows/model/estimate.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { nearestMoments, routesTo, windowsOf } from '../../workflows/model/reachable.ts';
import { timeMicros } from '../../workflows/model/target-parse.ts';
import { historyOf } from '../../workflows/model/timeline.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { WalRange } from '../../workflows/model/wal.ts';
import { samplePoint } from '../support/sample-report.ts';

/** Segments of 16 MiB: 0/N000000 is segment N. */
const at = (minute: number): string => new Date(Date.UTC(2026, 0, 5, 3, minute)).toISOString().replace('Z', '000Z');

function point(name: string, facts: Partial<PointSummary>): PointSummary {
  return { ...samplePoint(), point: name, ...facts };
}

function range(timeline: number, span: [from: string, to: string], minute?: number): WalRange {
  const commit = minute === undefined ? {} : { lastCommitAt: at(minute) };
  return { timeline, startLsn: span[0], endLsn: span[1], objects: 1, storedBytes: 10, ...commit };
}

const A = point('a', { startLsn: '0/3000028', stopLsn: '0/3000158', stoppedAt: at(10), oldestXid: '700' });
const B = point('b', { startLsn: '0/6000028', stopLsn: '0/6000158', stoppedAt: at(20), oldestXid: '800' });
/** Two bases on one timeline, WAL without a hole. */
const WHOLE: Holdings = { points: [A, B], ranges: [range(1, ['0/3000000', '0/9000000'], 30)], histories: [] };
/** The same with the WAL of segment 5 lost. */
const HOLE: Holdings = {
  ...WHOLE,
  ranges: [range(1, ['0/3000000', '0/5000000'], 14), range(1, ['0/6000000', '0/9000000'], 30)],
};
/** Left at 0/7000100 for timeline 2 (a restore), which goes on; timeline 1 went on for a while as well. */
const FORKED: Holdings = {
  points: [A, B, point('c', { timeline: 2, startLsn: '0/9000028', stopLsn: '0/9000158', stoppedAt: at(40) })],
  ranges: [range(1, ['0/3000000', '0/8000000'], 30), range(2, ['0/7000000', '0/C000000'], 50)],
  histories: [{ timeline: 2, ancestors: [{ timeline: 1, switchLsn: '0/7000100', reason: 'restore' }] }],
};

function choose(holdings: Holdings, wish: Partial<Wish>): Choice {
  const rest = { source: 'shop', target: { kind: 'latest' } as const, timeline: 'latest' as const };
  return chooseRoute(holdings, { ...rest, nowMicros: timeMicros(at(59)), ...wish });
}

const time = (text: string, inclusive = true): Wish['target'] => ({ kind: 'time', time: text, inclusive });
const lsn = (position: string): Wish['target'] => ({ kind: 'lsn', lsn: position, inclusive: true });

test('choice: the newest base before the target', () => {
  const cases: [Wish['target'], string][] = [
    [{ kind: 'latest' }, 'b'],
    [{ kind: 'immediate' }, 'b'],
    [{ kind: 'name', name: 'x' }, 'b'],
    [time(at(10)), 'a'],
    [time('2026-01-05T03:19:59.999999Z'), 'a'],
    [time(at(20)), 'b'],
    [time('2026-01-05T03:29:59.999999Z'), 'b'],
    [time(at(30), false), 'b'],
    [lsn('0/3000158'), 'a'],
    [lsn('0/6000157'), 'a'],
    [lsn('0/6000158'), 'b'],
    [lsn('0/8FFFFFF'), 'b'],
    [{ kind: 'xid', xid: '750', inclusive: true }, 'a'],
    [{ kind: 'xid', xid: '800', inclusive: true }, 'b'],
  ];
  for (const [target, wanted] of cases) {
    assert.equal(choose(WHOLE, { target }).route.base.point, wanted, JSON.stringify(target));
  }
});

test('choice: what lies outside of the WAL is refused with the windows and the nearest moments', () => {
  const outside = [
    time('2026-01-05T03:09:59.999999Z'),
    time(at(30)),
    time('2026-01-05T03:30:00.000001Z', false),
    lsn('0/3000157'),
    lsn('0/9000000'),
    { kind: 'xid', xid: '699', inclusive: true } as const,
  ];
  for (const target of outside) {
    assert.throws(() => choose(WHOLE, { target }), (error) => failureTypeOf(error) === 'Precondition', JSON.stringify(target)); // prettier-ignore
  }
  assert.throws(() => choose(WHOLE, { target: time(at(5)) }), (error: Error) => {
    assert.match(error.message, /nearest reachable: after it 2026-01-05T03:10/);
    assert.match(failureFacts(error).expected ?? '', /0\/3000158 to 0\/9000000, timeline 1/);
    return true;
  }); // prettier-ignore
  assert.throws(() => choose(WHOLE, { target: time('2026-01-05T04:30:00Z') }), /lies in the future/);
});

test('choice: a hole ends what its base reaches; the base behind it goes on', () => {
  assert.equal(choose(HOLE, { target: lsn('0/4FFFFFF') }).route.base.point, 'a');
  assert.throws(() => choose(HOLE, { target: lsn('0/5000000') }), /cannot be reached/);
  assert.throws(() => choose(HOLE, { target: time(at(15)) }), /before it 2026-01-05T03:14.*after it 2026-01-05T03:20/);
  assert.equal(choose(HOLE, { target: time(at(25)) }).route.base.point, 'b');
  const windows = windowsOf(HOLE).map(({ point: name, from, to, toLsn }) => [name, from, to, toLsn]);
  assert.deepEqual(windows, [
    ['a', at(10), at(14), '0/5000000'],
    ['b', at(20), at(30), '0/9000000'],
  ]);
});

test('choice: a base whose own WAL is not whole is none', () => {
  const short: Holdings = { ...WHOLE, ranges: [range(1, ['0/3000000', '0/6000100'], 19)] };
  assert.equal(choose(short, {}).route.base.point, 'a');
  assert.throws(() => choose(short, { point: 'b' }), /cannot be reached/);
  assert.throws(() => choose({ ...WHOLE, ranges: [] }, {}), (error: Error) => {
    assert.equal(failureFacts(error).hint, 'lifeboat wal shop');
    return failureTypeOf(error) === 'Precondition';
  }); // prettier-ignore
});

test('choice: no point at all, and a point that is not there', () => {
  for (const [holdings, point_] of [
    [{ ...WHOLE, points: [] }, undefined],
    [WHOLE, 'z'],
  ] as const) {
    const wish = point_ === undefined ? {} : { point: point_ };
    assert.throws(() => choose(holdings, wish), (error) => failureTypeOf(error) === 'NotFound'); // prettier-ignore
  }
  assert.equal(choose(WHOLE, { point: 'a' }).route.base.point, 'a');
});

test('choice: timelines latest, current and by number', () => {
  assert.deepEqual(pick(choose(FORKED, {})), ['c', 2]);
  assert.deepEqual(pick(choose(FORKED, { timeline: 'current' })), ['c', 2]);
  assert.deepEqual(pick(choose(FORKED, { timeline: 1 })), ['b', 1]);
  assert.deepEqual(pick(choose(FORKED, { timeline: 2, target: time(at(35)) })), ['b', 2]);
  // Behind the switch the two timelines are two histories.
  assert.deepEqual(pick(choose(FORKED, { target: lsn('0/7800000') })), ['b', 2]);
  assert.deepEqual(pick(choose(FORKED, { timeline: 1, target: lsn('0/7800000') })), ['b', 1]);
  assert.throws(() => choose(FORKED, { timeline: 7 }), /timeline 7 of shop is not in the vault/);
  assert.throws(() => choose(FORKED, { timeline: 1, target: time(at(45)) }), /cannot be reached/);
});

function pick({ route, timeline }: Choice): [string, number] {
  return [route.base.point, timeline];
}

test('choice: legs change the timeline at the segment of the switch', () => {
  const { legs } = choose(FORKED, { timeline: 2, target: time(at(35)) });
  assert.deepEqual(legs, [
    { timeline: 1, fromLsn: '0/6000000', toLsn: '0/7000000' },
    { timeline: 2, fromLsn: '0/7000000', toLsn: '0/C000000' },
  ]);
});

test('choice: a base behind the switch is no part of the other timeline', () => {
  const late = point('late', { startLsn: '0/7500028', stopLsn: '0/7500158', stoppedAt: at(29) });
  const holdings = { ...FORKED, points: [A, late] };
  assert.deepEqual(routesTo(holdings, 2).map(({ base }) => base.point), ['a']); // prettier-ignore
  assert.equal(choose(holdings, { timeline: 1 }).route.base.point, 'late');
  const history = historyOf([...FORKED.histories], 2);
  assert.equal(history && walkFrom(late, history, FORKED.ranges), undefined);
  // Its history is not in the vault: nothing leads there.
  assert.deepEqual(routesTo({ ...FORKED, histories: [] }, 2), []);
});

test('walk: says when the WAL breaks off before the end of the timeline', () => {
  const history = { timeline: 1, ancestors: [] };
  assert.equal(walkFrom(A, history, WHOLE.ranges)?.broken, false);
  const broken = walkFrom(A, history, HOLE.ranges);
  assert.deepEqual([broken?.broken, broken?.toLsn, broken?.to], [true, '0/5000000', at(14)]);
  assert.deepEqual(walkFrom(A, history, [])?.legs, []);
});

test('walk: WAL lost in front of a switch is not jumped over', () => {
  const lost = [range(1, ['0/3000000', '0/6800000'], 25), range(2, ['0/7000000', '0/C000000'], 50)];
  const holdings = { ...FORKED, points: [A, B], ranges: lost };
  const history = historyOf([...FORKED.histories], 2);
  const walk = history && walkFrom(B, history, lost);
  assert.deepEqual(walk?.legs, [{ timeline: 1, fromLsn: '0/6000000', toLsn: '0/6800000' }]);
  assert.deepEqual([walk?.timeline, walk?.broken, walk?.to], [1, true, at(25)]);
  assert.throws(() => choose(holdings, { timeline: 2, target: time(at(35)) }), /cannot be reached/);
});

test('nearest moments: at the edges and between', () => {
  const windows = windowsOf(HOLE);
  const near = (minute: number): [string | undefined, string | undefined] => {
    const { before, after } = nearestMoments(windows, timeMicros(at(minute)));
    return [before?.at, after?.at];
  };
  assert.deepEqual(near(9), [undefined, at(10)]);
  assert.deepEqual(near(10), [at(10), at(20)]);
  assert.deepEqual(near(14), [at(14), at(20)]);
  assert.deepEqual(near(17), [at(14), at(20)]);
  assert.deepEqual(near(40), [at(30), undefined]);
  assert.deepEqual(nearestMoments([], 5), {});
});

test('transactions: 32 bits wrap around, 64 bits do not', () => {
  const cases: [xid: string, oldest: string, isAfter: boolean][] = [
    ['700', '700', true],
    ['699', '700', false],
    ['5', String(2n ** 32n - 10n), true],
    [String(2n ** 32n - 11n), String(2n ** 32n - 10n), false],
    [String(2n ** 32n - 10n), '5', false],
    ['3', String(2n ** 33n + 3n), true],
    ['2', String(2n ** 33n + 3n), false],
    [String(2n ** 33n + 3n), String(2n ** 33n + 3n), true],
    [String(2n ** 33n + 2n), String(2n ** 33n + 3n), false],
  ];
  for (const [xid, oldest, isAfter] of cases) assert.equal(isAtOrAfter(xid, oldest), isAfter, `${xid} ${oldest}`);
});

test('estimate: WAL up to the target only', () => {
  const { legs } = choose(WHOLE, {});
  const mib = 2 ** 20;
  const objects = [16, 32, 48].map((end, index) => ({
    ...{ systemId: '1', timeline: 1, key: '', storedBytes: 1, startLsn: '0/6000000' },
    endLsn: `0/${(0x6000000 + end * mib).toString(16).toUpperCase()}`,
    lastCommitMicros: timeMicros(at(22 + index)),
  }));
  const walBytes = (target: Wish['target']): number => estimateOf([B], { legs, target, objects }).walBytes;
  assert.equal(walBytes({ kind: 'latest' }), 48 * mib);
  assert.equal(walBytes({ kind: 'immediate' }), 0x130);
  assert.equal(walBytes(lsn('0/6000200')), 0x200);
  assert.equal(walBytes(lsn('F/0')), 48 * mib);
  assert.equal(walBytes(time(at(21))), 16 * mib);
  assert.equal(walBytes(time(at(22))), 32 * mib);
  assert.equal(walBytes(time(at(24))), 48 * mib);
  const { seconds, fetchBytes, storedBytes } = estimateOf([{ ...B, bytes: 800 * mib }], { legs, target: { kind: 'latest' }, objects }); // prettier-ignore
  assert.deepEqual([seconds, fetchBytes, storedBytes], [19, 800 * mib, B.storedBytes]);
  assert.equal(estimateOf([B], { legs: [], target: { kind: 'latest' }, objects }).walBytes, 0);
});
