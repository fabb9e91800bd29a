import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fit } from '../../workflows/model/fit.ts';
import type { Forecasting, RtoForecast } from '../../workflows/model/forecast.ts';
import { DEFAULT_FACTOR, forecastOf, forecastText } from '../../workflows/model/forecast.ts';
import type { Measurement, RecoveryLoad } from '../../workflows/model/measurement.ts';
import { measurementOf } from '../../workflows/model/measurement.ts';
import { sampleReport } from '../support/sample-report.ts';

const GIB = 2 ** 30;
const NOW_MS = Date.UTC(2026, 2, 1);
const DAY_MS = 86_400_000;

/** A host as it really is: what no forecast is told. */
const TRUTH = { fetch: 300 * 2 ** 20, replay: 90 * 2 ** 20, prove: 900 * 2 ** 20, link: 2 };

function truth({ fetchBytes, links, walBytes, clusterBytes }: RecoveryLoad): Required<Measurement['phases']> {
  return {
    ...{ find: 300, open: 800 },
    fetch: 1000 * (1.5 + fetchBytes / TRUTH.fetch + (links - 1) * TRUTH.link),
    replay: 1000 * (2 + walBytes / TRUTH.replay),
    prove: 1000 * (1 + clusterBytes / TRUTH.prove),
  };
}

const secondsOf = (load: RecoveryLoad): number => Object.values(truth(load)).reduce((sum, ms) => sum + ms, 0) / 1000;

/** Numbers between 0 and 1 that are the same at every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function loadFrom(random: () => number): RecoveryLoad {
  const clusterBytes = (1 + 99 * random()) * GIB;
  const links = 1 + Math.floor(random() * 5);
  return { clusterBytes, links, fetchBytes: clusterBytes * (1 + 0.1 * (links - 1)), walBytes: random() * 40 * GIB };
}

interface Made {
  noise?: () => number;
  changes?: Partial<Measurement>;
}

function measured(load: RecoveryLoad, { noise = () => 1, changes = {} }: Made = {}): Measurement {
  const phases = Object.fromEntries(Object.entries(truth(load)).map(([phase, ms]) => [phase, ms * noise()]));
  const rtoMs = Object.values(phases).reduce((sum, ms) => sum + ms, 0);
  const at = new Date(NOW_MS - 2 * DAY_MS).toISOString();
  return { format: 'lifeboat-measured/1', kind: 'drill', run: 'r', at, host: 'db1', load, phases, rtoMs, ...changes };
}

const LOAD: RecoveryLoad = { fetchBytes: 50 * GIB, clusterBytes: 50 * GIB, links: 1, walBytes: 10 * GIB };

function forecast(measurements: Measurement[], use: Partial<Forecasting> & { load?: RecoveryLoad } = {}): RtoForecast {
  const { load = LOAD, ...rest } = use;
  return forecastOf(load, { measurements, nowMs: NOW_MS, ...rest });
}

const near = (found: number, wanted: number, share: number): void =>
  assert.ok(Math.abs(found / wanted - 1) <= share, `${found} is not within ${share * 100} % of ${wanted}`);

test('forecast: with no measurement it is the default, with a wide error, and says so', () => {
  const { seconds, lowSeconds, highSeconds, restsOn, says } = forecast([]);
  near(seconds, 5 + (50 * 1024) / 80 + (10 * 1024) / 40 + (50 * 1024) / 400, 0.001);
  near(highSeconds, seconds * DEFAULT_FACTOR, 0.001);
  near(lowSeconds, seconds / DEFAULT_FACTOR, 0.001);
  assert.equal(restsOn, 'defaults');
  assert.match(says, /nothing was measured yet.*factor of 4/);
});

test('forecast: one drill outweighs the defaults where it was like what comes, and is unsure where it was not', () => {
  const like = forecast([measured(LOAD)]);
  near(like.seconds, secondsOf(LOAD), 0.1);
  assert.ok(like.highSeconds < like.seconds * 2);
  const small = measured({ fetchBytes: 2 ** 20, clusterBytes: 2 ** 20, links: 1, walBytes: 2 ** 20 });
  const unlike = forecast([small]);
  assert.ok(unlike.highSeconds > unlike.seconds * 4, JSON.stringify(unlike));
});

test('forecast: two drills of different size tell the fixed part from the rate', () => {
  const [small, large] = [20, 60].map((gib) =>
    measured({ fetchBytes: gib * GIB, clusterBytes: gib * GIB, links: 1, walBytes: (gib / 4) * GIB }),
  ) as [Measurement, Measurement];
  near(forecast([small, large]).seconds, secondsOf(LOAD), 0.1);
});

test('forecast: many noisy drills find the rates, and its spread holds nine of ten recoveries', () => {
  const random = randomFrom(7);
  // Log-normal, about 10 %.
  const noise = (): number => Math.exp(0.1 * (random() + random() + random() + random() - 2) * Math.sqrt(3));
  let [inside, asked] = [0, 0];
  for (let round = 0; round < 20; round++) {
    const many = Array.from({ length: 12 }, () => measured(loadFrom(random), { noise }));
    for (let each = 0; each < 10; each++) {
      const load = loadFrom(random);
      const found = forecast(many, { load });
      near(found.seconds, secondsOf(load), 0.25);
      const { rtoMs } = measured(load, { noise });
      inside += rtoMs / 1000 >= found.lowSeconds && rtoMs / 1000 <= found.highSeconds ? 1 : 0;
      asked += 1;
    }
  }
  assert.ok(inside / asked >= 0.9, `${inside} of ${asked}`);
  const drilled = Array.from({ length: 12 }, () => measured(LOAD, { noise }));
  assert.ok(forecast(drilled).highSeconds < secondsOf(LOAD) * 1.6);
});

test('forecast: one recovery that something held up does not spoil what the others say', () => {
  const random = randomFrom(3);
  const good = Array.from({ length: 8 }, () => measured(loadFrom(random)));
  const held = measured(LOAD, { noise: () => 30 });
  const found = forecast([...good, held]);
  near(found.seconds, secondsOf(LOAD), 0.15);
  assert.ok(found.highSeconds < found.seconds * 2, `${found.highSeconds} of ${found.seconds}`);
});

test('forecast: links of a chain cost what they were measured to cost', () => {
  const random = randomFrom(11);
  const many = Array.from({ length: 20 }, () => measured(loadFrom(random)));
  const long = { ...LOAD, links: 15 };
  near(forecast(many, { load: long }).seconds - forecast(many).seconds, 14 * TRUTH.link, 0.3);
});

test('forecast: other hosts do not count beside this one; alone they do, with a wider spread', () => {
  const elsewhere = measured(LOAD, { noise: () => 5, changes: { host: 'dr1', at: new Date(NOW_MS).toISOString() } });
  const both = forecast([measured(LOAD), elsewhere], { host: 'db1' });
  near(both.seconds, secondsOf(LOAD), 0.1);
  assert.deepEqual([both.drills, both.otherHosts, both.restsOn], [1, 1, 'measured']);
  const alone = forecast([elsewhere], { host: 'db1' });
  const there = forecast([elsewhere], { host: 'dr1' });
  assert.deepEqual([alone.restsOn, there.restsOn], ['elsewhere', 'measured']);
  assert.ok(alone.highSeconds / alone.seconds > there.highSeconds / there.seconds);
  assert.equal(forecast([measured(LOAD), elsewhere]).host, 'dr1');
});

test('forecast: what was measured long ago gives way to what is so now', () => {
  const old = Array.from({ length: 3 }, (_, day) =>
    measured(LOAD, { noise: () => 3, changes: { at: new Date(NOW_MS - (700 + day) * DAY_MS).toISOString() } }),
  );
  near(forecast([...old, measured(LOAD), measured(LOAD)]).seconds, secondsOf(LOAD), 0.15);
});

test('forecast: the objective is kept, at risk or broken, and the text says on what that rests', () => {
  const drills = [measured(LOAD), measured(LOAD), measured(LOAD, { changes: { kind: 'restore' } })];
  const { seconds, highSeconds } = forecast(drills);
  const verdict = (objectiveMs: number): string | undefined => forecast(drills, { objectiveMs }).verdict;
  assert.equal(verdict(seconds * 1000 - 2), 'broken');
  assert.equal(verdict(seconds * 1000 + 2), 'at risk');
  assert.equal(verdict(highSeconds * 1000 + 2), 'kept');
  const told = forecast(drills, { objectiveMs: 3_600_000, host: 'db1' });
  assert.equal(told.says, '2 drills and 1 restore on host db1, newest 2 days ago');
  assert.match(forecastText(told), /^\S+ \(\S+ to \S+\), of 1h promised: kept$/);
});

test('fit: no coefficient is negative, and nothing measured is the usual', () => {
  assert.equal(fit([], [2, 3]).predict([1, 2]).mean, 8);
  const falling = [1, 2, 3, 4].map((x) => ({ x: [1, x], y: 10 - 2 * x, weight: 1 }));
  assert.ok(fit(falling, [1, 1]).predict([0, 1]).mean >= 0);
});

test('measurement: what a report says it took, without phases that did less than their work', () => {
  const report = sampleReport();
  const { result } = report;
  assert.ok(result);
  const whole = { ...result, fetch: { ...result.fetch, resumedParts: 0 }, waitedMs: { replay: 400 } };
  const of = (changes: object): Measurement | undefined => measurementOf({ ...report, ...changes });
  assert.equal(of({ result: undefined }), undefined);
  assert.equal(of({ kind: 'demo' }), undefined);
  assert.deepEqual(of({ result: whole })?.phases, { find: 120, fetch: 3100, replay: 2000, open: 300, prove: 1500 });
  assert.equal(of({})?.phases.fetch, undefined);
  const reused = { ...whole, fetch: { ...whole.fetch, reusedBytes: 1 } };
  assert.equal(of({ result: reused })?.phases.fetch, undefined);
  assert.equal(of({})?.load.walBytes, 30_000_000);
});
