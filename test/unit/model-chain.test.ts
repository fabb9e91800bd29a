import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainsOf } from '../../workflows/model/chain.ts';
import { chooseRoute } from '../../workflows/model/choose.ts';
import { estimateOf } from '../../workflows/model/estimate.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { ParentWish } from '../../workflows/model/parent.ts';
import { chooseParent } from '../../workflows/model/parent.ts';
import { windowsOf } from '../../workflows/model/reachable.ts';
import { timeMicros } from '../../workflows/model/target-parse.ts';
import { samplePoint } from '../support/sample-report.ts';

/** The n-th point, minutes and segments apart. */
function point(number: number, facts: Partial<PointSummary> = {}): PointSummary {
  const stoppedAt = `2026-01-05T03:0${number}:00.000000Z`;
  const lsns = { startLsn: `0/${number}000028`, stopLsn: `0/${number}000158` };
  return { ...samplePoint(), point: `p${number}`, ...lsns, stoppedAt, bytes: 100, storedBytes: 10, ...facts };
}

const inc = (number: number, parent: string, facts: Partial<PointSummary> = {}): PointSummary =>
  point(number, { kind: 'incremental', parent, bytes: 20, storedBytes: 2, ...facts });

const FULL = point(1);
const [I2, I3, I4] = [inc(2, 'p1'), inc(3, 'p2'), inc(4, 'p3')] as const;
const CHAIN = [FULL, I2, I3, I4];

function linksOf(points: PointSummary[], of: PointSummary): string[] | string {
  const chain = chainsOf(points)(of);
  return 'links' in chain ? chain.links.map((link) => link.point) : chain.broken;
}

test('chain: from the full point to the one that is asked for', () => {
  assert.deepEqual(linksOf(CHAIN, FULL), ['p1']);
  assert.deepEqual(linksOf(CHAIN, I4), ['p1', 'p2', 'p3', 'p4']);
});

const BROKEN: [string, PointSummary[], RegExp][] = [
  ['a link is not there', [FULL, I3, I4], /^p2, which p3 stands on, is not in the vault$/],
  ['the full point is not there', [I2, I3, I4], /^p1, which p2 stands on/],
  ['a circle', [inc(2, 'p3', { startLsn: '0/3000028' }), inc(3, 'p2'), I4], /p\d stands on itself/],
  ['another cluster', [point(1, { systemId: '1' }), I2, I3, I4], /^p1 is of another cluster than p2$/],
  ['a parent that is newer', [point(1, { startLsn: '0/9000028' }), I2, I3, I4], /^p1 begins behind p2/],
];

for (const [name, points, says] of BROKEN) {
  test(`chain: broken by ${name}, nothing is restored from it`, () => {
    assert.match(String(linksOf(points, I4)), says);
    const ranges = [{ timeline: 1, startLsn: '0/1000000', endLsn: '0/9000000', objects: 1, storedBytes: 1 }];
    const holdings = { points, ranges, histories: [] };
    assert.ok(!windowsOf(holdings).some((window) => window.point === 'p4'));
    const wish = {
      source: 'shop',
      target: { kind: 'latest' },
      timeline: 'latest',
      nowMicros: timeMicros(I4.stoppedAt),
    } as const;
    assert.throws(
      () => chooseRoute(holdings, { ...wish, point: 'p4' }),
      (error) => failureTypeOf(error) === 'Precondition' && /p4 cannot be restored: p/.test(String(error)),
    );
  });
}

test('choice: an incremental point brings its chain along, and a moment between two takes the older one', () => {
  const ranges = [
    {
      timeline: 1,
      startLsn: '0/1000000',
      endLsn: '0/9000000',
      objects: 1,
      storedBytes: 1,
      lastCommitAt: '2026-01-05T03:30:00.000000Z',
    },
  ];
  const holdings = { points: CHAIN, ranges, histories: [] };
  const wish = { source: 'shop', timeline: 'latest', nowMicros: timeMicros('2026-01-05T04:00:00Z') } as const;
  const links = (time: string): string[] =>
    chooseRoute(holdings, { ...wish, target: { kind: 'time', time, inclusive: true } }).route.chain.map(
      (link) => link.point,
    );
  assert.deepEqual(links('2026-01-05T03:10:00Z'), ['p1', 'p2', 'p3', 'p4']);
  assert.deepEqual(links('2026-01-05T03:02:30Z'), ['p1', 'p2']);
  assert.deepEqual(links('2026-01-05T03:01:30Z'), ['p1']);
});

test('estimate: a chain moves all of its points, and takes room for the cluster and one of them', () => {
  const use = { legs: [], target: { kind: 'latest' }, objects: [] } as const;
  const { fetchBytes, storedBytes, spaceBytes } = estimateOf(CHAIN, use);
  assert.deepEqual({ fetchBytes, storedBytes, spaceBytes }, { fetchBytes: 160, storedBytes: 16, spaceBytes: 120 });
  assert.equal(estimateOf(CHAIN, { ...use, sizeBytes: 130 }).spaceBytes, 150);
  assert.equal(estimateOf(CHAIN, { ...use, sizeBytes: 9000 }).spaceBytes, 160);
  assert.equal(estimateOf([FULL], { ...use, sizeBytes: 9000 }).spaceBytes, 100);
});

const WISH: ParentWish = { kind: 'incremental', chainLimit: 3 };
const diff = inc(5, 'p1', { kind: 'differential' });

const PARENTS: [string, PointSummary[], Partial<ParentWish>, string[] | RegExp][] = [
  ['the newest point', CHAIN.slice(0, 3), {}, ['p1', 'p2', 'p3']],
  ['a full one alone', [FULL], {}, ['p1']],
  ['the newest full point for a differential one', [...CHAIN, diff], { kind: 'differential' }, ['p1']],
  ['a differential one, by its own short chain', [...CHAIN, diff], {}, ['p1', 'p5']],
  ['no point', [], {}, /^there is no point to build on$/],
  ['no full point', [I2], { kind: 'differential' }, /^there is no full point to build on$/],
  ['a broken chain', [FULL, I3], {}, /^p2, which p3 stands on, is not in the vault$/],
  ['the end of a chain', CHAIN, {}, /^3 points stand on p1, the limit \(backup\.chainLimit\) is 3$/],
];

for (const [name, points, wish, expected] of PARENTS) {
  test(`parent: ${name}`, () => {
    const chosen = chooseParent({ points, damaged: [] }, { ...WISH, ...wish });
    if (expected instanceof RegExp) assert.match('fallback' in chosen ? chosen.fallback : 'a parent', expected);
    else assert.deepEqual('chain' in chosen ? chosen.chain.map((link) => link.point) : chosen, expected);
  });
}

test('parent: nothing is built beside a newer point that cannot be read; an older one is nobody’s business', () => {
  const of = (damaged: string): unknown =>
    chooseParent({ points: [FULL, I3].slice(0, 1), damaged: [{ point: damaged, reason: 'a bit' }] }, WISH);
  assert.deepEqual(of('p2'), { fallback: 'p2 is damaged: a bit' });
  assert.deepEqual(of('p0'), { chain: [FULL] });
});
