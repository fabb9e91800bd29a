import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capacityOf, countFor } from '../../activities/switches/capacity.ts';
import { wholeShares } from '../../activities/switches/route53/shares.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';

test('weights become whole per cent that are 100 together, and nobody with a weight has none', () => {
  const sides = ['a', 'b', 'c', undefined];
  for (let seed = 1; seed <= 250; seed++) {
    const weights = sides.map((side, at) => ({ side, weight: (seed * (at * 53 + 17)) % 251 }));
    const shares = wholeShares(weights);
    const total = weights.reduce((sum, { weight }) => sum + weight, 0);
    const nobody = weights.at(-1)?.weight ?? 0;
    const sum = Object.values(shares).reduce((all, share) => all + share, 0);
    assert.ok(sum <= 100 && Object.values(shares).every(Number.isInteger), JSON.stringify({ weights, shares }));
    assert.equal(sum === 100, nobody === 0, JSON.stringify({ weights, shares }));
    for (const { side, weight } of weights.slice(0, -1)) {
      const share = shares[side ?? ''] ?? 0;
      assert.equal(share > 0, weight > 0, JSON.stringify({ weights, shares }));
      assert.ok(Math.abs(share - (weight * 100) / total) < 3, JSON.stringify({ weights, shares }));
    }
  }
});

test('of weights that are all 0 Route 53 answers each', () => {
  const none = ['a', 'b', undefined].map((side) => ({ side, weight: 0 }));
  assert.deepEqual(wholeShares(none.slice(0, 2)), { a: 50, b: 50 });
});

test('a share of a site is a whole number of tasks, and the number that was seen', () => {
  for (let desired = 2; desired <= 120; desired++) {
    for (const standby of [0, 1]) {
      for (let count = standby + 1; count <= desired; count++) {
        const share = capacityOf({ desired, standby }, count);
        assert.equal(countFor('s', { name: 'a', site: { desired, standby }, share }), count, `${count} of ${desired}`);
      }
      assert.equal(capacityOf({ desired, standby }, standby), 0);
      assert.equal(capacityOf({ desired, standby }, desired + 5), 100);
    }
  }
  const third = (): number => countFor('s', { name: 'a', site: { desired: 4, standby: 0 }, share: 33 });
  assert.throws(third, (error: unknown) => failureTypeOf(error) === 'ConfigInvalid');
});
