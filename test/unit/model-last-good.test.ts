import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Probe } from '../../workflows/model/last-good.ts';
import { findLastGood } from '../../workflows/model/last-good.ts';
import type { ReachableWindow } from '../../workflows/model/recovery.ts';
import { isoOfMicros, timeMicros } from '../../workflows/model/target-parse.ts';

const SECOND = 1_000_000;
const START = timeMicros('2026-01-05T00:00:00Z');
const at = (second: number): string => isoOfMicros(START + second * SECOND);

function windowOf(point: string, from: number, to?: number): ReachableWindow {
  const where = { timeline: 1, fromLsn: '0/1', toLsn: '0/2' };
  return { point, ...where, from: at(from), ...(to === undefined ? {} : { to: at(to) }) };
}

const WINDOWS = [windowOf('p1', 0, 1000), windowOf('p2', 300, 1000), windowOf('p3', 600, 1000)];
const BOUNDS = { most: 60, precisionMicros: SECOND };

/** A world where what was written from `badAt` on is bad, and the bases that are named hold bad pages. */
function worldOf(
  badAt: number,
  badBases: string[] = [],
): { probes: Probe[]; isGood: (probe: Probe) => Promise<boolean> } {
  const probes: Probe[] = [];
  return {
    probes,
    isGood: (probe) => {
      probes.push(probe);
      const base = WINDOWS.find(({ point }) => point === probe.point);
      const { target } = probe;
      const moment = target.kind === 'time' ? target.time : (base?.from ?? '');
      return Promise.resolve(!badBases.includes(probe.point) && timeMicros(moment) < START + badAt * SECOND);
    },
  };
}

test('last good moment: within the precision of the truth, wherever the damage began', async () => {
  for (const badAt of [1, 2, 17, 299, 300, 301, 599, 601, 742, 998, 999]) {
    const { isGood, probes } = worldOf(badAt);
    const found = await findLastGood(WINDOWS, isGood, BOUNDS);
    assert.ok(found, String(badAt));
    const { target, badFrom = '', tried } = found;
    const good =
      target.kind === 'time'
        ? timeMicros(target.time)
        : timeMicros(WINDOWS.find(({ point }) => point === found.point)?.from ?? '');
    assert.ok(good < START + badAt * SECOND, `${badAt}: ${isoOfMicros(good)} is good`);
    assert.ok(timeMicros(badFrom) >= START + badAt * SECOND, `${badAt}: ${badFrom} is bad`);
    assert.ok(timeMicros(badFrom) - good <= SECOND, `${badAt}: close enough`);
    assert.equal(tried, probes.length);
    assert.ok(tried < 20, `${badAt}: ${tried} recoveries`);
  }
});

test('last good moment: a sound newest moment ends the search at once', async () => {
  const { isGood, probes } = worldOf(2000);
  const found = await findLastGood(WINDOWS, isGood, BOUNDS);
  assert.equal(found?.point, 'p3');
  assert.deepEqual(found?.target, { kind: 'time', time: at(1000), inclusive: false });
  assert.equal(probes.length, 1);
});

test('last good moment: bases with bad pages are passed over, and the older one replays over all of it', async () => {
  const { isGood, probes } = worldOf(2000, ['p3', 'p2']);
  const found = await findLastGood(WINDOWS, isGood, BOUNDS);
  assert.equal(found?.point, 'p1');
  assert.deepEqual(found?.target, { kind: 'time', time: at(1000), inclusive: false });
  assert.deepEqual(probes.map(({ point }) => point), ['p3', 'p3', 'p2', 'p2', 'p1']); // prettier-ignore
});

test('last good moment: none, and no more recoveries than allowed', async () => {
  const nothing = worldOf(0);
  assert.equal(await findLastGood(WINDOWS, nothing.isGood, BOUNDS), undefined);
  assert.equal(nothing.probes.length, 6);
  const bounded = worldOf(0);
  assert.equal(await findLastGood(WINDOWS, bounded.isGood, { ...BOUNDS, most: 3 }), undefined);
  assert.equal(bounded.probes.length, 3);
  const short = worldOf(742);
  const found = await findLastGood(WINDOWS, short.isGood, { ...BOUNDS, most: 4 });
  assert.equal(short.probes.length, 4);
  assert.ok(found && timeMicros(found.badFrom ?? '') >= START + 742 * SECOND);
});

test('last good moment: a base without WAL behind it is tried at its end', async () => {
  const { isGood, probes } = worldOf(100);
  const found = await findLastGood([windowOf('p1', 0)], isGood, BOUNDS);
  assert.deepEqual(found, { point: 'p1', target: { kind: 'immediate' }, tried: 1 });
  assert.equal(probes.length, 1);
});
