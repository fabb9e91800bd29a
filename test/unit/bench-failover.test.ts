import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunProgress } from '../../workflows/messages.ts';
import { mostAtOnce } from '../../workers/dev/demo/pair/write-probe.ts';
import { readFailoverOptions } from '../bench/failover/options.ts';
import { percentile } from '../bench/failover/page.ts';
import { divide } from '../bench/failover/phases.ts';

const BEGAN_MS = Date.parse('2026-03-01T12:00:00.000Z');

function at(ms: number): string {
  return new Date(BEGAN_MS + ms).toISOString();
}

const STEPS: [number, string][] = [
  [3100, 'look at the primary from all sides'],
  [3400, 'switch balancer: 127.0.0.1:5432'],
  [3500, 'stop the traffic'],
  [3600, 'freeze db-b'],
  [3900, 'fence db-a: stopped by the worker of its host'],
  [4200, 'say what will be lost'],
  [4500, 'point of no return'],
  [4500, 'promote db-b'],
  [4700, 'write a marker on db-b'],
  [4800, 'send the traffic to 127.0.0.1:5433'],
  [5500, 'checkpoint db-b'],
];

test('an outage is divided by the steps of its run, and nothing of it is left', () => {
  const timeline = STEPS.map(([ms, what]) => ({ at: at(ms), what }));
  const progress = { startedAt: at(3000), timeline } as RunProgress;
  const phases = divide({ fromMs: BEGAN_MS, toMs: BEGAN_MS + 5000 }, progress);
  assert.deepEqual(phases, { detect: 3000, decide: 800, fence: 600, promote: 200, verify: 100, traffic: 300 });
  const later = divide({ fromMs: BEGAN_MS + 3550, toMs: BEGAN_MS + 4600 }, progress);
  assert.deepEqual(later, { detect: 0, decide: 300, fence: 600, promote: 100, verify: 0, traffic: 50 });
});

test('two servers that take writes at one moment are counted, and one behind the other are not', () => {
  const span = (node: string, fromMs: number, toMs: number): Parameters<typeof mostAtOnce>[0][number] => ({
    ...{ node, fromMs, toMs },
  });
  assert.equal(mostAtOnce([]), 0);
  assert.equal(mostAtOnce([span('a', 0, 10), span('b', 11, 20), span('a', 30, 40)]), 1);
  assert.equal(mostAtOnce([span('a', 0, 10), span('b', 10, 20)]), 2);
  assert.equal(mostAtOnce([span('a', 0, 100), span('b', 40, 50)]), 2);
});

test('percentiles are values that were measured; wrong options are told', () => {
  const values = Array.from({ length: 20 }, (_, index) => 20 - index);
  assert.deepEqual([percentile(values, 0.5), percentile(values, 0.95), percentile([7], 0.95)], [10, 19, 7]);
  assert.throws(() => readFailoverOptions(['--runs', '0']), /--runs is 0; expected a whole number from 1 to 100/);
  assert.equal(readFailoverOptions(['--no-report']).page, undefined);
});
