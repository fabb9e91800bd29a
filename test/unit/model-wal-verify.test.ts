import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import { parseSince } from '../../workflows/model/wal-since.ts';
import type { FoundHole, WalVerdict } from '../../workflows/model/wal-verify.ts';
import { verdictOf } from '../../workflows/model/wal-verify.ts';
import { samplePoint } from '../support/sample-report.ts';

const AT = '2026-01-05T03:0';

/** Segments 2 to 6 of timeline 1, one object each, the newest commit in minute n of the hour. */
function objectOf(segment: number): WalObject {
  return {
    ...{ systemId: '7', timeline: 1, key: `wal/${segment}`, storedBytes: 100 },
    ...{ startLsn: `0/${segment}000000`, endLsn: `0/${segment + 1}000000` },
    lastCommitMicros: Date.parse(`${AT}${segment}:00Z`) * 1000,
  };
}

function pointOf(point: string, segment: number): PointSummary {
  return {
    ...samplePoint(),
    ...{ point, kind: 'full', systemId: '7', timeline: 1, segmentBytes: 2 ** 24 },
    ...{ startLsn: `0/${segment}000028`, stopLsn: `0/${segment}000100`, stoppedAt: `${AT}${segment}:30.000000Z` },
  };
}

const CLUSTER = { systemId: '7', segmentBytes: 2 ** 24 };
const SEGMENTS = [2, 3, 4, 5, 6];

function verdict(
  without: { missing?: number[]; bad?: number[] },
  points = [pointOf('p2', 2), pointOf('p5', 5)],
): WalVerdict {
  const objects = SEGMENTS.filter((segment) => !without.missing?.includes(segment)).map(objectOf);
  const bad = new Set(without.bad?.map((segment) => `wal/${segment}`));
  return verdictOf({ ...CLUSTER, points, objects, histories: [], bad });
}

test('what damage costs: the moments from the first wrong object to the next base', () => {
  assert.deepEqual(verdict({}), { holes: [], lost: [], unusable: [] });
  assert.deepEqual(verdict({ bad: [3] }), {
    ...{ holes: [], unusable: [] },
    lost: [
      {
        ...{ timeline: 1, fromLsn: '0/3000000', toLsn: '0/5000100' },
        ...{ from: `${AT}2:30.000000Z`, to: `${AT}5:30.000000Z` },
      },
    ],
  });
  const [end] = verdict({ bad: [6] }).lost;
  assert.deepEqual([end?.fromLsn, end?.toLsn, end?.to], ['0/6000000', '0/7000000', `${AT}6:00.000000Z`]);
});

test('a point without the WAL that makes it consistent is told, damaged or missing', () => {
  const damaged = verdict({ bad: [2] });
  assert.deepEqual(damaged.unusable.map(({ point }) => point), ['p2']); // prettier-ignore
  assert.match(damaged.unusable[0]?.reason ?? '', /is damaged$/);
  assert.deepEqual(damaged.lost.map(({ fromLsn, toLsn }) => [fromLsn, toLsn]), [['0/2000100', '0/5000100']]); // prettier-ignore
  const missing = verdict({ missing: [5] });
  assert.deepEqual(missing.unusable.map(({ point }) => point), ['p5']); // prettier-ignore
  assert.match(missing.unusable[0]?.reason ?? '', /is not in the vault$/);
  assert.equal(missing.holes[0]?.until, undefined, 'no base begins behind it');
});

test('a hole says what was the newest commit before it, and which base closes it', () => {
  assert.deepEqual(verdict({ missing: [4] }).holes, [
    {
      ...{ systemId: '7', timeline: 1, fromLsn: '0/4000000', toLsn: '0/5000000', bytes: 2 ** 24 },
      ...{ after: `${AT}3:00.000000Z`, until: `${AT}5:30.000000Z` },
    },
  ]);
});

/** Timeline 2 begins in segment 5, timeline 3 in segment 8. */
const SWITCHES = [
  { timeline: 1, switchLsn: '0/5800000', reason: 'promoted' },
  { timeline: 2, switchLsn: '0/8800000', reason: 'promoted' },
];
const HISTORIES: TimelineHistory[] = [2, 3].map((timeline) => ({
  timeline,
  ancestors: SWITCHES.slice(0, timeline - 1),
}));

function piece(timeline: number, startLsn: string, endLsn: string): WalObject {
  return { ...{ systemId: '7', timeline, startLsn, endLsn }, key: `wal/${timeline}/${startLsn}`, storedBytes: 100 };
}

function holesAt(objects: WalObject[], points = [pointOf('p2', 2)]): FoundHole[] {
  return verdictOf({ ...CLUSTER, points, objects, histories: HISTORIES, bad: new Set() }).holes;
}

const spans = (holes: FoundHole[]): unknown[] =>
  holes.map(({ timeline, fromLsn, toLsn }) => [timeline, fromLsn, toLsn]);

test('a switch of timelines is no hole when the old one reaches its segment and the new one begins there', () => {
  const whole = [piece(1, '0/2000000', '0/5000000'), piece(2, '0/5000000', '0/8000000')];
  assert.deepEqual(holesAt([...whole, piece(3, '0/8000000', '0/9000000')]), []);
  assert.deepEqual(holesAt([piece(1, '0/2000000', '0/5800000'), piece(2, '0/5000000', '0/6000000')]), []);
  // The beginning of the segment is its parent's.
  assert.deepEqual(holesAt([piece(1, '0/2000000', '0/5800000'), piece(2, '0/5800000', '0/6000000')]), []);
  // Nothing is stored of the new one yet: its stream is on the way.
  assert.deepEqual(holesAt([piece(1, '0/2000000', '0/4000000')]), []);
});

test('a hole at a switch: the end of the old timeline, the beginning of the new one, or all of one between', () => {
  const [first, third] = [piece(1, '0/2000000', '0/5000000'), piece(3, '0/8000000', '0/9000000')];
  const [late] = holesAt([
    { ...piece(1, '0/2000000', '0/4000000'), lastCommitMicros: Date.parse(`${AT}3:00Z`) * 1000 },
    piece(2, '0/5000000', '0/8000000'),
  ]);
  assert.deepEqual(late, {
    ...{ systemId: '7', timeline: 1, fromLsn: '0/4000000', toLsn: '0/5000000', bytes: 2 ** 24 },
    after: `${AT}3:00.000000Z`,
  });
  assert.deepEqual(spans(holesAt([first, piece(2, '0/6000000', '0/8000000')])), [[2, '0/5000000', '0/6000000']]);
  const shared = holesAt([piece(1, '0/2000000', '0/5800000'), piece(2, '0/6000000', '0/8000000')]);
  assert.deepEqual(spans(shared), [[2, '0/5800000', '0/6000000']]);
  assert.deepEqual(spans(holesAt([first, piece(2, '0/5000000', '0/6000000'), third])), [[2, '0/6000000', '0/8000000']]);
  assert.deepEqual(spans(holesAt([first, third])), [[2, '0/5000000', '0/8000000']]);
  const behind = piece(1, '0/7000000', '0/8000000');
  const inside = holesAt([piece(1, '0/2000000', '0/4000000'), behind, piece(2, '0/5000000', '0/8000000')]);
  assert.deepEqual(spans(inside), [[1, '0/4000000', '0/7000000']], 'told once');
});

test('a hole at a switch counts for points in front of it, and a base behind it closes it', () => {
  const objects = [piece(1, '0/2000000', '0/4000000'), piece(2, '0/6000000', '0/8000000')];
  const [old, next] = [pointOf('p2', 2), { ...pointOf('p6', 6), timeline: 2 }];
  assert.deepEqual(holesAt(objects, [next]), []);
  assert.deepEqual(holesAt(objects, [old, next]).map(({ until }) => until), [next.stoppedAt, next.stoppedAt]); // prettier-ignore
  const left = { ...pointOf('p6', 6), startLsn: '0/5900000' };
  assert.deepEqual(holesAt(objects, [left]), [], 'it stands on what was left behind');
});

test('a point needs its WAL from the beginning of the segment in which it starts', () => {
  const point = { ...pointOf('p3', 3), startLsn: '0/3400028', stopLsn: '0/3400100' };
  const cut = [piece(1, '0/2000000', '0/3000000'), piece(1, '0/3400000', '0/4000000')];
  const { unusable, holes } = verdictOf({ ...CLUSTER, points: [point], objects: cut, histories: [], bad: new Set() });
  assert.match(unusable[0]?.reason ?? '', /^WAL 0\/3000000 to 0\/3400100 of timeline 1, .* is not in the vault$/);
  assert.deepEqual([spans(holes), holes[0]?.until], [[[1, '0/3000000', '0/3400000']], undefined]);
});

test('since is a moment or a position', () => {
  assert.deepEqual(parseSince('16/b374d848'), { lsn: '16/B374D848' });
  assert.deepEqual(parseSince('2026-01-05T03:00:00+01:00'), { micros: Date.parse('2026-01-05T02:00:00Z') * 1000 });
  for (const text of ['yesterday', '2026-01-05', '16/xyz', '/'])
    assert.throws(() => parseSince(text), /is neither/, text);
});
