import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomOf } from '../soak/random.ts';

const draws = (seed: number, stream?: number): number[] => {
  const random = randomOf(seed, stream);
  return Array.from({ length: 50 }, () => random.between(0, 1_000_000));
};

test('the same seed and stream give the same draws; another seed or stream gives others', () => {
  assert.deepEqual(draws(7, 3), draws(7, 3));
  assert.notDeepEqual(draws(7, 3), draws(8, 3));
  assert.notDeepEqual(draws(7, 3), draws(7, 4));
});

test('the draws of a seed are these for ever: a seed that found something goes on to find it', () => {
  assert.deepEqual(draws(1).slice(0, 4), [91_569, 506_198, 888_193, 487_255]);
  assert.deepEqual(draws(4_294_967_295).slice(0, 4), [955_583, 425_115, 268_269, 565_205]);
});

test('numbers stay within their bounds, and all of them are drawn', () => {
  const random = randomOf(2);
  const seen = new Set(Array.from({ length: 500 }, () => random.between(3, 6)));
  assert.deepEqual([...seen].sort(), [3, 4, 5, 6]);
  assert.equal(random.between(9, 9), 9);
});

test('a chance of none never comes, a chance of a hundred always does', () => {
  const random = randomOf(3);
  for (let at = 0; at < 200; at++) {
    assert.equal(random.chance(0), false);
    assert.equal(random.chance(100), true);
  }
});

test('what weighs nothing is not drawn, what weighs more is drawn more often', () => {
  const random = randomOf(4);
  const weights: Record<string, number> = { never: 0, seldom: 1, often: 9 };
  const drawn = Array.from({ length: 1000 }, () => random.weighted(Object.keys(weights), (each) => weights[each] ?? 0));
  const count = (name: string): number => drawn.filter((each) => each === name).length;
  assert.equal(count('never'), 0);
  assert.ok(count('seldom') > 50 && count('often') > 5 * count('seldom'), `${count('seldom')}, ${count('often')}`);
  assert.throws(() => random.weighted(['never'], () => 0), /nothing to draw from/);
  assert.throws(() => random.pick([]), /nothing to draw from/);
});
