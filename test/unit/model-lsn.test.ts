import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import {
  compareLsn,
  formatLsn,
  lsnDistanceBytes,
  lsnKey,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentStart,
} from '../../workflows/model/lsn.ts';

/** Positions of every size, from a generator with a fixed seed (xorshift), and the edges. */
function positions(count: number): bigint[] {
  let state = 0x9e3779b97f4a7c15n;
  const next = (): bigint => {
    state ^= (state << 13n) & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= (state << 17n) & 0xffffffffffffffffn;
    return state;
  };
  const edges = [0n, 1n, 0xffffffffn, 0x100000000n, 0xffffffffffffffffn];
  return [...edges, ...Array.from({ length: count }, (_, index) => next() >> BigInt(index % 64))];
}

test('lsn: what is printed is read back, and order and distance are those of the numbers', () => {
  const all = positions(500);
  for (const [index, position] of all.entries()) {
    const text = formatLsn(position);
    assert.match(text, /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
    assert.equal(parseLsn(text), position);
    assert.equal(parseLsn(text.toLowerCase()), position);
    const other = all[(index * 7 + 3) % all.length] ?? 0n;
    const [a, b] = [formatLsn(position), formatLsn(other)];
    assert.equal(compareLsn(a, b), position < other ? -1 : position > other ? 1 : 0);
    assert.equal(lsnDistanceBytes(b, a), Number(position - other));
    assert.equal(lsnKey(position) < lsnKey(other), position < other, 'keys sort as text');
  }
});

test('lsn: known positions', () => {
  assert.equal(parseLsn('16/B374D848'), 97_500_059_720n);
  assert.equal(formatLsn(0x3000028n), '0/3000028');
  assert.equal(lsnDistanceBytes('0/3000000', '0/2FFFFFF'), -1);
});

test('lsn: what is no position is refused', () => {
  for (const text of ['', '0', '0/', '/0', '0/0/0', 'G/0', '0/123456789', '0x1/0', '-1/0', '0/0 ', '16-B374D848']) {
    assert.throws(() => parseLsn(text), (error) => failureTypeOf(error) === 'ConfigInvalid', text); // prettier-ignore
  }
});

test('segments: the name says timeline and start, whatever the size of a segment', () => {
  for (const segmentBytes of [2 ** 20, 2 ** 24, 2 ** 26, 2 ** 30]) {
    for (const position of positions(200)) {
      const start = segmentStart(position, segmentBytes);
      assert.ok(start <= position && position - start < BigInt(segmentBytes));
      assert.equal(start % BigInt(segmentBytes), 0n);
      const name = segmentName(7, position, segmentBytes);
      assert.deepEqual(parseSegmentName(name, segmentBytes), { timeline: 7, start });
    }
  }
});

test('segments: names as the server gives them (pg_walfile_name)', () => {
  assert.equal(segmentName(1, parseLsn('0/3000028'), 2 ** 24), '000000010000000000000003');
  assert.equal(segmentName(16, parseLsn('1/FF000000'), 2 ** 24), '0000001000000001000000FF');
  assert.equal(segmentName(1, parseLsn('2/0'), 2 ** 24), '000000010000000200000000');
  assert.equal(segmentName(1, parseLsn('0/40000000'), 2 ** 30), '000000010000000000000001');
  for (const name of ['00000002.history', '000000010000000000000003.partial', '00000001000000000000000g', ''])
    assert.equal(parseSegmentName(name, 2 ** 24), undefined, name);
});
