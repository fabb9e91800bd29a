import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { crc32c, crc32cCombine } from '../../activities/io/crc32c.ts';

test('CRC-32C of "123456789" is the check value of the polynomial', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test('the CRC of a whole is the combination of the CRCs of its parts, wherever it is cut', () => {
  for (const length of [0, 1, 2, 63, 64, 1000, 65_537]) {
    const bytes = randomBytes(length);
    for (const cut of [0, 1, length >> 1, length - 1, length].filter((at) => at >= 0 && at <= length)) {
      const [a, b] = [bytes.subarray(0, cut), bytes.subarray(cut)];
      assert.equal(crc32cCombine(crc32c(a), crc32c(b), b.length), crc32c(bytes), `${length} cut at ${cut}`);
    }
  }
});

test('a swapped part changes the combination', () => {
  const [a, b] = [Buffer.from('first part'), Buffer.from('second')];
  assert.notEqual(crc32cCombine(crc32c(b), crc32c(a), a.length), crc32c(Buffer.concat([a, b])));
});
