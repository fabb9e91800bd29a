import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseRoute } from '../../workflows/model/choose.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn, lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { Copy, CopyReach } from '../../workflows/model/reachable-map.ts';
import { isReached, reachOf } from '../../workflows/model/reachable-map.ts';
import type { Target } from '../../workflows/model/target.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import { gapsOf, rangesOf } from '../../workflows/model/wal-coverage.ts';
import { samplePoint } from '../support/sample-report.ts';

const SEGMENT = 16 * 2 ** 20;
const START_MS = Date.UTC(2026, 0, 5);

/** Numbers that are the same at every run (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Position of a tenth of a segment, and the minute in which it was written. */
const lsnAt = (tenth: number): string => formatLsn(BigInt(Math.floor((tenth * SEGMENT) / 10)));
const timeAt = (tenth: number): string => new Date(START_MS + tenth * 60_000).toISOString().replace('Z', '000Z');

/** A cluster that was recovered now and then, whose vault lost WAL and points here and there. */
function madeCopy(random: Random): Copy {
  const histories: TimelineHistory[] = [];
  for (let timeline = 2; timeline <= 1 + random(3); timeline++)
    histories.push(madeHistory(timeline, histories, random));
  const objects = Array.from({ length: histories.length + 1 }, (_, index) => {
    const timeline = index + 1;
    return madeWal(timeline, histories.find((each) => each.timeline === timeline)?.ancestors.at(-1), random);
  }).flat();
  const points: PointSummary[] = [];
  for (let made = random(6); made >= 0; made--) points.push(madePoint(points, histories.length + 1, random));
  points.sort((a, b) => (a.stoppedAt < b.stoppedAt ? -1 : 1));
  const ranges = rangesOf(objects);
  return { systemId: '1', points, ranges, histories, gaps: gapsOf(ranges), damaged: [] };
}

type Random = (below: number) => number;

function madeHistory(timeline: number, known: TimelineHistory[], random: Random): TimelineHistory {
  const parent = 1 + random(timeline - 1);
  const above = known.find((each) => each.timeline === parent)?.ancestors ?? [];
  const from = Math.max(0, ...above.map(({ switchLsn }) => Math.ceil(lsnDistanceBytes('0/0', switchLsn) / SEGMENT)));
  const switchLsn = lsnAt(from * 10 + 15 + random(60));
  return { timeline, ancestors: [...above, { timeline: parent, switchLsn, reason: 'restore' }] };
}

function madeWal(timeline: number, begin: { switchLsn: string } | undefined, random: Random): WalObject[] {
  const first = begin ? Math.floor(lsnDistanceBytes('0/0', begin.switchLsn) / SEGMENT) : 1;
  return Array.from({ length: 4 + random(10) }, (_, index): WalObject[] => {
    if (random(9) === 0) return [];
    const segment = first + index;
    const minute = segment * 10 + random(10);
    const commit = random(4) === 0 ? {} : { lastCommitMicros: 1000 * (START_MS + minute * 60_000) };
    const place = { startLsn: lsnAt(segment * 10), endLsn: lsnAt(segment * 10 + 10) };
    return [{ ...{ systemId: '1', timeline, key: '', storedBytes: 1 }, ...commit, ...place }];
  }).flat();
}

function madePoint(points: PointSummary[], timelines: number, random: Random): PointSummary {
  const start = 10 + random(120);
  const stop = start + 1 + random(8);
  const parent = random(3) === 0 ? points.at(-1) : undefined;
  const child = parent ? { kind: 'incremental' as const, parent: random(5) === 0 ? 'gone' : parent.point } : {};
  const place = { startLsn: lsnAt(start), stopLsn: lsnAt(stop), stoppedAt: timeAt(stop) };
  return {
    ...{ ...samplePoint(), systemId: '1', point: `p${points.length}` },
    ...{ timeline: 1 + random(timelines), ...place, ...child },
  };
}

function isChosen(copy: Copy, target: Target, timeline: number | 'latest'): boolean {
  try {
    chooseRoute(copy, { source: 'shop', target, timeline, nowMicros: Date.UTC(2027, 0, 1) * 1000 });
    return true;
  } catch (error) {
    assert.equal(failureTypeOf(error), 'Precondition');
    return false;
  }
}

function isOnMap(
  { timelines }: CopyReach,
  target: Target & { kind: 'time' | 'lsn' },
  timeline: number | 'latest',
): boolean {
  if (timeline !== 'latest') return timelines.some((each) => each.timeline === timeline && isReached(each, target));
  const asked = target.kind === 'lsn' ? timelines : timelines.filter(({ isDefault }) => isDefault);
  return asked.some((each) => isReached(each, target));
}

test('reachable: the map says of every moment what a restore to it would be told', () => {
  const random = randomFrom(42);
  const told = { yes: 0, no: 0 };
  for (let round = 0; round < 100; round++) {
    const copy = madeCopy(random);
    const map = reachOf('local', copy);
    for (let tenth = 5; tenth < 260; tenth += 1 + random(6)) {
      for (const timeline of ['latest', 1 + random(3)] as const) {
        const targets: (Target & { kind: 'time' | 'lsn' })[] = [
          { kind: 'time', time: timeAt(tenth), inclusive: random(2) === 0 },
          { kind: 'lsn', lsn: lsnAt(tenth), inclusive: true },
        ];
        for (const target of targets) {
          const chosen = isChosen(copy, target, timeline);
          told[chosen ? 'yes' : 'no'] += 1;
          if (isOnMap(map, target, timeline) !== chosen)
            assert.fail(JSON.stringify({ round, target, timeline, chosen, map, copy }));
        }
      }
    }
  }
  assert.ok(told.yes > 1000 && told.no > 1000, JSON.stringify(told));
});

test('reachable: bases, holes and damaged points are marked, and why a base is of no use', () => {
  const object = (from: number, to: number, minute: number): WalObject => ({
    ...{ systemId: '1', timeline: 1, key: '', storedBytes: 1, startLsn: lsnAt(from), endLsn: lsnAt(to) },
    lastCommitMicros: (START_MS + minute * 60_000) * 1000,
  });
  const point = (name: string, at: number, facts: Partial<PointSummary> = {}): PointSummary => ({
    ...{
      ...samplePoint(),
      point: name,
      timeline: 1,
      startLsn: lsnAt(at),
      stopLsn: lsnAt(at + 2),
      stoppedAt: timeAt(at + 2),
    },
    ...facts,
  });
  const ranges = rangesOf([object(10, 40, 39), object(60, 90, 88)]);
  const points = [
    point('good', 12),
    point('in-the-hole', 38, { stopLsn: lsnAt(45) }),
    point('orphan', 61, { kind: 'incremental', parent: 'gone' }),
    point('later', 70),
  ];
  const damaged = [{ point: 'bad', reason: 'signature' }];
  const map = reachOf('local', { systemId: '1', points, ranges, histories: [], gaps: gapsOf(ranges), damaged });
  assert.deepEqual(map.timelines, [
    {
      ...{ timeline: 1, isDefault: true },
      times: [
        { from: timeAt(14), to: timeAt(39) },
        { from: timeAt(72), to: timeAt(88) },
      ],
      positions: [
        { fromLsn: lsnAt(14), toLsn: lsnAt(40) },
        { fromLsn: lsnAt(72), toLsn: lsnAt(90) },
      ],
    },
  ]);
  assert.deepEqual(
    map.bases.map(({ point: name, unusable }) => [name, unusable]),
    [
      ['good', undefined],
      ['in-the-hole', 'WAL up to its end is not in the vault'],
      ['orphan', 'gone, which orphan stands on, is not in the vault'],
      ['later', undefined],
    ],
  );
  assert.deepEqual(map.holes, [
    { timeline: 1, fromLsn: lsnAt(40), toLsn: lsnAt(60), bytes: 2 * SEGMENT, after: timeAt(39) },
  ]);
  assert.deepEqual(map.damaged, damaged);
});
