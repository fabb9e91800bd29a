import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { goodnessOf } from '../../workflows/model/retention-good.ts';
import type { PointMarks, RetentionFacts, RetentionPlan, RetentionPolicy } from '../../workflows/model/retention.ts';
import { planRetention } from '../../workflows/model/retention.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import type { GeneratedVault } from '../support/retention-vaults.ts';
import { generatedVault, HOUR_MICROS, iso, positionOf, SEGMENT, segmentOf } from '../support/retention-vaults.ts';
import { samplePoint } from '../support/sample-report.ts';

const VAULTS = 300;
/** Beyond every position. */
const FAR = 1e6;

/** What is stored: bytes of each timeline, one by one. The oracle knows nothing of ranges, legs and windows. */
class Stored {
  readonly #bytes = new Set<number>();

  constructor(objects: readonly WalObject[]) {
    for (const { timeline, startLsn, endLsn } of objects) {
      for (let at = positionOf(startLsn); at < positionOf(endLsn); at++) this.#bytes.add(timeline * FAR + at);
    }
  }

  has(timeline: number, at: number): boolean {
    return this.#bytes.has(timeline * FAR + at);
  }
}

function chainOf(points: readonly PointSummary[], point: PointSummary): PointSummary[] | undefined {
  const chain = [point];
  for (let at = point; at.parent !== undefined;) {
    const parent = points.find((each) => each.point === at.parent);
    if (!parent || chain.includes(parent) || positionOf(parent.startLsn) > positionOf(at.startLsn)) return undefined;
    chain.push((at = parent));
  }
  return chain;
}

function consistent(stored: Stored, point: PointSummary): boolean {
  for (let at = segmentOf(positionOf(point.startLsn)); at < positionOf(point.stopLsn); at++)
    if (!stored.has(point.timeline, at)) return false;
  return true;
}

function isGood(vault: RetentionFacts, stored: Stored, point: PointSummary): boolean {
  const chain = chainOf(vault.points, point);
  if (!chain || !consistent(stored, point)) return false;
  return chain.every((link) => !link.damaged && !vault.marks.get(link.point)?.wrong);
}

/** Hours of `timeline` that recovery from a point can stop at, walked byte by byte. */
function hoursFrom(vault: GeneratedVault, stored: Stored, way: { point: PointSummary; timeline: number }): number[] {
  const { point, timeline } = way;
  const next = vault.timelines[point.timeline];
  if (point.timeline > timeline) return [];
  if (point.timeline < timeline && next && positionOf(point.stopLsn) > next.begins) return [];
  const ways = vault.timelines.filter(({ number }) => number <= timeline && number > point.timeline).reverse();
  const on = (at: number): number => ways.find(({ begins }) => segmentOf(begins) <= at)?.number ?? point.timeline;
  const hours: number[] = [];
  let reached = 0;
  for (let at = segmentOf(positionOf(point.startLsn)); stored.has(on(at), at); at++) {
    reached = at + 1;
    // The commit behind a moment is what recovery stops in front of.
    if (on(at) === timeline) hours.push(vault.commitMicros(timeline, at) / HOUR_MICROS - 1);
  }
  if (reached < positionOf(point.stopLsn) || reached === 0) return [];
  return hours.filter((hour) => hour * HOUR_MICROS >= Date.parse(point.stoppedAt) * 1000);
}

interface Kept {
  points: readonly PointSummary[];
  objects: readonly WalObject[];
  stored: Stored;
}

/** "timeline/hour" of everything that can be reached inside of the window with some of the points. */
function reachable(vault: GeneratedVault, kept: Kept, isBase = (_: PointSummary): boolean => true): Set<string> {
  const moments = [
    ...vault.points.map(({ stoppedAt }) => Date.parse(stoppedAt) * 1000),
    ...vault.objects.map(({ lastCommitMicros = 0 }) => lastCommitMicros),
  ];
  const end = Math.min(vault.nowMicros, Math.max(...moments));
  const from = (end - vault.policy.windowMs * 1000) / HOUR_MICROS;
  const found = new Set<string>();
  for (const point of kept.points.filter(isBase)) {
    if (!chainOf(kept.points, point)) continue;
    for (const { number } of vault.timelines)
      for (const hour of hoursFrom(vault, kept.stored, { point, timeline: number }))
        if (hour >= from) found.add(`${number}/${hour}`);
  }
  return found;
}

function without<T>(from: ReadonlySet<T>, some: ReadonlySet<T>): T[] {
  return [...from].filter((each) => !some.has(each));
}

interface Case {
  vault: GeneratedVault;
  plan: RetentionPlan;
  told: string;
  then: Kept;
  now: Kept;
  good(point: PointSummary): boolean;
}

function caseOf(seed: number): Case {
  const vault = generatedVault(seed);
  const { points, objects } = vault;
  const plan = planRetention(vault);
  const gone = new Set(plan.remove.map(({ point }) => point));
  const walGone = new Set(plan.wal.remove);
  const then = { points, objects, stored: new Stored(objects) };
  const left = objects.filter((object) => !walGone.has(object));
  const now = { points: points.filter(({ point }) => !gone.has(point)), objects: left, stored: new Stored(left) };
  return { vault, plan, told: `seed ${seed}`, then, now, good: (point) => isGood(vault, then.stored, point) };
}

function checkPoints({ plan, told, then, now }: Case): void {
  assert.deepEqual(plan.keep.map(({ point }) => point), now.points.map(({ point }) => point), told); // prettier-ignore
  for (const point of now.points) {
    const { point: name } = point;
    assert.ok(!chainOf(then.points, point) || chainOf(now.points, point), `${told}: ${name} lost its chain`);
    assert.ok(!consistent(then.stored, point) || consistent(now.stored, point), `${told}: ${name} lost its WAL`);
  }
  plan.remove.forEach(({ point }, index) => {
    const left = plan.remove.slice(index + 1);
    assert.ok(!left.some(({ parent }) => parent === point), `${told}: ${point} went before its child`);
  });
}

function checkNewest({ vault, told, then, now, good }: Case): void {
  const { marks, uses, policy } = vault;
  const isKept = (point: PointSummary | undefined): boolean => point === undefined || now.points.includes(point);
  const has = (mark: 'provenAt' | 'verifiedAt') => (point: PointSummary) => marks.get(point.point)?.[mark];
  for (const fits of [() => true, has('provenAt'), has('verifiedAt')]) {
    const some = then.points.filter((point) => fits(point));
    assert.ok(isKept(some.at(-1)) && isKept(some.findLast(good)), told);
  }
  const bound = uses.flatMap(({ points }) => points);
  const fixed = then.points.filter((point) => marks.get(point.point)?.held ?? bound.includes(point.point));
  assert.ok(fixed.every(isKept), `${told}: held or in use`);
  const fulls = (some: readonly PointSummary[]): number =>
    some.filter((point) => point.kind === 'full' && good(point)).length;
  assert.ok(fulls(now.points) >= Math.min(policy.fulls, fulls(then.points)), `${told}: full ones`);
}

/** Answers how many moments the window has. */
function checkMoments({ vault, told, then, now, good }: Case): number {
  const all = reachable(vault, then);
  assert.deepEqual(without(all, reachable(vault, now)), [], told);
  assert.deepEqual(without(reachable(vault, then, good), reachable(vault, now, good)), [], `${told}: good bases`);
  const restored = vault.uses.filter(({ wal }) => wal).flatMap(({ points }) => points);
  for (const point of then.points.filter((each) => restored.includes(each.point) && chainOf(then.points, each))) {
    for (const { number: timeline } of vault.timelines) {
      const way = { point, timeline };
      assert.deepEqual(hoursFrom(vault, now.stored, way), hoursFrom(vault, then.stored, way), `${told}: a restore`);
    }
  }
  return all.size;
}

test('retention: of hundreds of generated vaults nothing is lost that was promised', () => {
  const total = { points: 0, removed: 0, objects: 0, walRemoved: 0, moments: 0 };
  for (let seed = 1; seed <= VAULTS; seed++) {
    const one = caseOf(seed);
    checkPoints(one);
    checkNewest(one);
    total.moments += checkMoments(one);
    total.points += one.then.points.length;
    total.removed += one.plan.remove.length;
    total.objects += one.then.objects.length;
    total.walRemoved += one.plan.wal.remove.length;
    // What is left is what stays: a second look takes nothing more.
    const again = planRetention({ ...one.vault, points: one.now.points, objects: one.now.objects });
    assert.deepEqual([again.remove, again.wal.remove], [[], []], `${one.told}: twice`);
  }
  // A rule that keeps everything would pass all of the above.
  assert.ok(total.removed > total.points / 4, JSON.stringify(total));
  assert.ok(total.walRemoved > total.objects / 4, JSON.stringify(total));
  assert.ok(total.moments > VAULTS * 20, JSON.stringify(total));
});

const DAY_MICROS = 24 * HOUR_MICROS;
const YEARS = 8;
const FIRST = Date.UTC(2018, 0, 1, 2) * 1000;

/** A full point every night, all WAL there. */
function nightly(
  policy: RetentionPolicy,
  change: (point: PointSummary, day: number) => object = () => ({}),
): RetentionFacts {
  const days = YEARS * 365;
  const points = Array.from({ length: days }, (_, day): PointSummary => {
    const at = iso(FIRST + day * DAY_MICROS);
    const lsn = `0/${(day * SEGMENT).toString(16)}`;
    const point: PointSummary = {
      ...samplePoint(),
      point: `n${day}`,
      startLsn: lsn,
      stopLsn: lsn,
      stoppedAt: at,
      startedAt: at,
    };
    return { ...point, segmentBytes: SEGMENT, timeline: 1, ...change(point, day) };
  });
  const { systemId } = samplePoint();
  const objects = points.map(({ startLsn }, day) => ({
    ...{ systemId, timeline: 1, startLsn, endLsn: `0/${((day + 1) * SEGMENT).toString(16)}` },
    ...{ lastCommitMicros: FIRST + (day + 1) * DAY_MICROS, key: `w${day}`, storedBytes: 1 },
  }));
  const nowMicros = FIRST + days * DAY_MICROS;
  return { policy, nowMicros, points, objects, histories: [], marks: new Map(), uses: [] };
}

const NONE = { windowMs: 0, fulls: 1, daily: 0, weekly: 0, monthly: 0, quarterly: 0, annual: 0 };

test('retention: the documented policy over eight years of nights', () => {
  const policy = { windowMs: 14 * 86_400_000, fulls: 2, daily: 30, weekly: 12, monthly: 12, quarterly: 8, annual: 7 };
  const facts = nightly(policy);
  const { keep, remove, wal } = planRetention(facts);
  assert.equal(keep.length + remove.length, facts.points.length);
  const by = (rule: string): number => keep.filter(({ why }) => why.some((each) => each.startsWith(rule))).length;
  assert.deepEqual(
    ['daily', 'weekly', 'monthly', 'quarterly', 'annual', 'inside the window', 'one of the newest'].map(by),
    [30, 12, 12, 8, 7, 14, 2],
  );
  // The window begins in the middle of what the point of the night before makes reachable.
  assert.deepEqual(wal.keepFrom, [
    { timeline: 1, lsn: `0/${((YEARS * 365 - 14) * SEGMENT).toString(16).toUpperCase()}` },
  ]);
  const last = keep.find(({ why }) => why.includes('annual: 2019'));
  assert.equal(facts.points.find(({ point }) => point === last?.point)?.stoppedAt.slice(0, 10), '2019-12-31');
});

test('retention: a clock that runs ahead, or a source that has stopped, uses up no window', () => {
  const facts = nightly({ ...NONE, windowMs: 14 * 86_400_000 });
  const kept = (days: number): string[] =>
    planRetention({ ...facts, nowMicros: facts.nowMicros + days * DAY_MICROS }).keep.map(({ point }) => point);
  assert.equal(kept(0).length, 14);
  assert.deepEqual(kept(400), kept(0));
  // One that is behind keeps more.
  assert.ok(kept(-3).length > kept(0).length);
});

test('retention: damaged points replace nothing, and do not count', () => {
  const damaged = { damaged: { pages: 1, first: ['base/1/1 page 3'] } };
  const facts = nightly({ ...NONE, fulls: 2, daily: 3 }, (_, day) => (day >= YEARS * 365 - 5 ? damaged : {}));
  const kept = planRetention(facts).keep.map(({ point }) => point);
  const last = YEARS * 365 - 1;
  // The five bad nights, each the only one of its day, and three days that are good.
  assert.deepEqual(
    kept,
    Array.from({ length: 8 }, (_, index) => `n${last - 7 + index}`),
  );
});

test('retention: a full point is taken for its period before a smaller one', () => {
  const smaller = (_: PointSummary, day: number): object =>
    day % 7 === 0 ? {} : { kind: 'incremental', parent: `n${day - 1}` };
  const facts = nightly({ ...NONE, monthly: 2 }, smaller);
  const { keep } = planRetention(facts);
  const months = keep.filter(({ why }) => why.some((each) => each.startsWith('monthly')));
  assert.deepEqual(months.map(({ point }) => facts.points.find((each) => each.point === point)?.kind), ['full', 'full']); // prettier-ignore
});

test('retention: dumps need no WAL to be good; those of the window and of the rules stay', () => {
  const dump = { databases: ['crm'], tables: 3, rows: 100, largeObjects: 0 };
  const days = 40;
  const points = Array.from({ length: days }, (_, day): PointSummary => {
    const at = new Date(Date.UTC(2026, 0, 1 + day, 3)).toISOString();
    return { ...samplePoint(), point: `d${day}`, startLsn: '0/0', stopLsn: '0/0', startedAt: at, stoppedAt: at, dump };
  });
  const facts: RetentionFacts = {
    ...{ points, objects: [], histories: [], uses: [], marks: new Map() },
    policy: { ...NONE, windowMs: 3 * 86_400_000, fulls: 2, daily: 5 },
    nowMicros: Date.UTC(2026, 0, days, 4) * 1000,
  };
  const keptOf = (some: RetentionFacts): string[] => planRetention(some).keep.map(({ point }) => point);
  const { keep, remove, wal } = planRetention(facts);
  assert.deepEqual(keep.map(({ point }) => point), ['d35', 'd36', 'd37', 'd38', 'd39']); // prettier-ignore
  assert.deepEqual(remove.map(({ point }) => point), points.slice(0, 35).map(({ point }) => point)); // prettier-ignore
  assert.deepEqual(wal, { remove: [], keepFrom: wal.keepFrom });
  assert.ok(!keep.some(({ why }) => why.some((each) => each.includes('not whole'))));
  // One that failed its verification replaces none.
  const wrong = new Map([['d38', { wrong: { at: '2026-02-09T04:00:00Z', reason: 'part 3 is damaged' } }]]);
  assert.deepEqual(keptOf({ ...facts, marks: wrong }), ['d34', 'd35', 'd36', 'd37', 'd38', 'd39']);
  const old = new Map([['d3', { provenAt: '2026-01-04T09:00:00Z' }]]);
  assert.deepEqual(keptOf({ ...facts, marks: old }), ['d3', 'd35', 'd36', 'd37', 'd38', 'd39']);
});

test('retention: a point whose WAL was found wrong is not good; one that stands on it has WAL of its own', () => {
  const at = (point: string, segment: number, more: Partial<PointSummary>): PointSummary => ({
    ...{ ...samplePoint(), point, timeline: 1, segmentBytes: 2 ** 24, ...more },
    ...{ startLsn: `0/${segment}000028`, stopLsn: `0/${segment}000100` },
  });
  const points = [at('base', 2, { kind: 'full' }), at('change', 3, { kind: 'incremental', parent: 'base' })];
  const ranges = [{ timeline: 1, startLsn: '0/2000000', endLsn: '0/4000000', objects: 2, storedBytes: 100 }];
  const good = (marks: PointMarks): boolean[] =>
    points.map(goodnessOf({ points, ranges, histories: [] }, new Map([['base', marks]])));
  const wrong = { at: '2026-02-09T04:00:00Z', reason: 'record checksum' };
  assert.deepEqual(good({ verifiedAt: wrong.at }), [true, true]);
  assert.deepEqual(good({ wrong }), [false, false]);
  assert.deepEqual(good({ wrongWal: wrong, verifiedAt: wrong.at }), [false, true]);
});
