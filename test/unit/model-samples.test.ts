import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sample } from '../../workflows/model/failover-loss.ts';
import { describeLoss, lossOf } from '../../workflows/model/failover-loss.ts';
import { formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { SampleRing } from '../../workflows/model/primary-samples.ts';
import { addSample, MOST_SAMPLES, newestOf, together } from '../../workflows/model/primary-samples.ts';

const PRIMARY = { service: 'web', node: 'db-a', systemId: '7', timeline: 1 };
const START_MS = Date.parse('2026-01-05T03:00:00.000Z');

const at = (ms: number): string => new Date(START_MS + ms).toISOString();

/** The same numbers each time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}

/** A primary whose position is known at every moment: bytes written up to each millisecond. */
function history(random: () => number, ms: number): bigint[] {
  const positions: bigint[] = [0x1000000n];
  for (let each = 1; each <= ms; each++) {
    const before = positions[each - 1] ?? 0n;
    positions.push(before + (random() < 0.3 ? BigInt(Math.floor(random() * 2000)) : 0n));
  }
  return positions;
}

function sampled(positions: readonly bigint[], everyMs: number): SampleRing {
  let ring: SampleRing | undefined;
  for (let ms = 0; ms < positions.length; ms += everyMs)
    ring = addSample(ring, PRIMARY, { at: at(ms), lsn: formatLsn(positions[ms] ?? 0n), xid: String(700 + ms) });
  assert.ok(ring);
  return ring;
}

test('the ring keeps the newest minute of one primary', () => {
  const ring = sampled(history(numbers(1), 100_000), 1000);
  assert.equal(ring.samples.length, MOST_SAMPLES);
  assert.equal(ring.samples.at(-1)?.at, at(100_000));
  const one = { at: at(200_000), lsn: '0/9000000', xid: '9' };
  for (const other of [{ node: 'db-b' }, { timeline: 2 }, { systemId: '8' }, { service: 'api' }])
    assert.deepEqual(addSample(ring, { ...PRIMARY, ...other }, one).samples, [one], JSON.stringify(other));
  // A writer that is late changes nothing of what came behind it.
  const late = addSample(ring, PRIMARY, { at: at(50_500), lsn: '0/1', xid: '1' });
  assert.equal(late.samples.at(-1)?.at, at(50_500));
  assert.ok(late.samples.every((each) => each.at <= at(50_500)));
});

test('what is quoted is never less than what was lost, for as long as nothing was faster than before', () => {
  let usual = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const random = numbers(seed);
    const positions = history(random, 30_000);
    const deadMs = 10_000 + Math.floor(random() * 20_000);
    const ring = sampled(positions.slice(0, deadMs + 1), 1000);
    const sample = newestOf(ring, '7');
    assert.ok(sample);
    const frozenMs = Math.max(0, deadMs - Math.floor(random() * 5000));
    const frozen = positions[frozenMs] ?? 0n;
    const question = { sample, frozenLsn: formatLsn(frozen), timeline: 1, untilMs: START_MS + deadMs };
    const beat = Math.floor(frozenMs / 1000) * 1000;
    const loss = lossOf({ ...question, heartbeatAt: at(beat) });
    assert.ok(loss.known);
    const atSample = parseLsn(sample.lsn);
    assert.equal(BigInt(loss.bytes), atSample > frozen ? atSample - frozen : 0n, String(seed));
    assert.ok(loss.mostBytes >= loss.bytes);
    const tail = Number((positions[deadMs] ?? 0n) - atSample);
    const ageMs = START_MS + deadMs - Date.parse(sample.at);
    const isUsual = tail <= (sample.bytesPerSecond * ageMs) / 1000;
    if (isUsual) assert.ok(BigInt(loss.mostBytes) >= (positions[deadMs] ?? 0n) - frozen, String(seed));
    usual += isUsual ? 1 : 0;
    // All that was acknowledged before the heartbeat is there: the loss began behind it.
    if (loss.bytes > 0) assert.equal(loss.mostMs, deadMs - beat);
  }
  assert.ok(usual > 50, String(usual));
});

test('transactions are estimated by what one has written, and not where nobody knows it', () => {
  const samples = [0, 1000, 2000].map((ms) => ({ at: at(ms), lsn: formatLsn(BigInt(ms * 10)), xid: String(ms / 10) }));
  const sample = newestOf({ format: 'lifeboat-samples/1', ...PRIMARY, samples }, '7');
  assert.deepEqual(sample, {
    ...{
      at: at(2000),
      timeline: 1,
      lsn: formatLsn(20_000n),
      bytesPerSecond: 10_000,
      bytesPerTransaction: 100,
      beats: true,
    },
  });
  const loss = lossOf({ sample, frozenLsn: formatLsn(15_000n), timeline: 1, untilMs: START_MS + 3000 });
  assert.ok(loss.known);
  assert.deepEqual(loss.transactions, { known: 50, most: 150 });
  assert.match(describeLoss(loss), /about 50 to 150 transactions/);
  const idle = newestOf({ format: 'lifeboat-samples/1', ...PRIMARY, samples: samples.slice(0, 1) }, '7');
  assert.equal(idle?.bytesPerTransaction, undefined);
  assert.equal(newestOf({ format: 'lifeboat-samples/1', ...PRIMARY, samples }, '8'), undefined);
  assert.equal(newestOf({ format: 'lifeboat-samples/1', ...PRIMARY, samples: [] }, '7'), undefined);
});

test('a heartbeat counts only while somebody writes them', () => {
  const sample: Sample = { at: at(0), timeline: 1, lsn: '0/3000', bytesPerSecond: 1024 };
  const question = { frozenLsn: '0/2000', timeline: 1, untilMs: START_MS + 2000, heartbeatAt: at(-3_600_000) };
  const [without, with_] = [
    lossOf({ sample, ...question }),
    lossOf({ sample: { ...sample, beats: true }, ...question }),
  ];
  assert.ok(without.known && with_.known);
  assert.deepEqual([without.mostMs, with_.mostMs], [6000, 3_602_000]);
});

test('two witnesses together: the higher position, the later moment, of the newer timeline', () => {
  const one: Sample = {
    at: at(5000),
    timeline: 1,
    lsn: '0/2000',
    bytesPerSecond: 7,
    bytesPerTransaction: 9,
    beats: true,
  };
  const other: Sample = { at: at(1000), timeline: 1, lsn: '0/3000', bytesPerSecond: 3 };
  const both = { at: at(5000), timeline: 1, lsn: '0/3000', bytesPerSecond: 7, bytesPerTransaction: 9, beats: true };
  assert.deepEqual(together(one, other), both);
  assert.deepEqual(together(other, one), both);
  assert.equal(together(undefined, one), one);
  assert.equal(together(one, undefined), one);
  assert.equal(together(one, { ...other, timeline: 2 })?.timeline, 2);
  // Samples that have stopped long before say nothing of heartbeats now.
  assert.equal(together({ ...one, at: at(0) }, { ...other, at: at(60_000) })?.beats, undefined);
});
