import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { copyIntoShared, ownsMemory, release } from '../../activities/io/memory.ts';

test('bytes arrive in shared memory as they are, wherever they and it begin, and nothing beside them changes', () => {
  const source = randomBytes(300_000);
  for (const bytes of [0, 1, 7, 8, 4096, 65_535, 65_536, 65_537, 200_001]) {
    for (const from of [0, 1, 5, 8]) {
      for (const at of [0, 3, 8, 4097]) {
        const target = Buffer.from(new SharedArrayBuffer(at + bytes + 16)).fill(0xaa);
        copyIntoShared(source.subarray(from, from + bytes), target, at);
        const expected = Buffer.alloc(target.length, 0xaa);
        source.copy(expected, at, from, from + bytes);
        assert.ok(target.equals(expected), `${bytes} bytes from ${from} to ${at}`);
      }
    }
  }
});

test('memory that others use too is not given back', () => {
  const alone = Buffer.from(new ArrayBuffer(64));
  const shared = Buffer.from(new SharedArrayBuffer(64));
  const piece = Buffer.from(new ArrayBuffer(64)).subarray(0, 40);
  for (const bytes of [alone, shared, piece]) release(bytes);
  assert.deepEqual([alone.length, shared.length, piece.length], [0, 64, 40]);
  assert.equal(ownsMemory(piece, 23), false);
  release(piece, 24);
  assert.equal(piece.length, 0);
});
