import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentIndex } from '../../activities/sources/postgres/wal/segment-index.ts';
import { StoredSegments } from '../../activities/sources/postgres/wal/stored-segments.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn } from '../../workflows/model/lsn.ts';
import type { WalObject } from '../../workflows/model/wal.ts';

const SEGMENT = 1 << 20;

function object(timeline: number, start: number, end: number): WalObject {
  const [startLsn, endLsn] = [formatLsn(BigInt(start)), formatLsn(BigInt(end))];
  return { systemId: '1', timeline, startLsn, endLsn, key: `${timeline}-${startLsn}`, storedBytes: 1 };
}

test('a segment has every object that holds a byte of it, of all timelines, and no other', () => {
  const objects = [
    object(1, 0, SEGMENT),
    object(1, SEGMENT, SEGMENT + 10),
    object(1, SEGMENT + 10, 3 * SEGMENT),
    object(2, SEGMENT + 5, 2 * SEGMENT),
  ];
  const index = new SegmentIndex(objects, SEGMENT);
  for (const at of [0, SEGMENT, 2 * SEGMENT, 3 * SEGMENT]) {
    const expected = objects.filter(
      ({ startLsn, endLsn }) => bytes(endLsn) > BigInt(at) && bytes(startLsn) < BigInt(at + SEGMENT),
    );
    assert.deepEqual(index.touching(BigInt(at)), expected, `segment at ${at}`);
  }
  assert.equal(index.newestStart(1), BigInt(SEGMENT + 10));
  assert.equal(index.newestStart(3), undefined);
});

function bytes(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

test('pieces that were compacted since they were listed are looked up again, and not for ever', async () => {
  const whole = { ...object(1, SEGMENT, 2 * SEGMENT), key: 'whole' };
  const pieces = [object(1, SEGMENT, SEGMENT + 10), object(1, SEGMENT + 10, 2 * SEGMENT)];
  const content = Buffer.alloc(SEGMENT, 7);
  const readAll = async (listed: WalObject[], type: 'NotFound' | 'Unavailable'): Promise<unknown[]> => {
    let lists = 0;
    const vault: Pick<WalVault, 'list' | 'read'> = {
      list: async () => ((lists += 1), listed),
      read: async ({ key }) => {
        if (key === whole.key) return content;
        throw failure(type, `${key} cannot be read`);
      },
    };
    const wal = { systemId: '1', segmentBytes: SEGMENT, fromLsn: '0/0', histories: [], objects: pieces };
    const segments = new StoredSegments(vault as WalVault, wal);
    const found = await segments.read({ timeline: 1, start: BigInt(SEGMENT) }).catch(failureTypeOf);
    return [Buffer.isBuffer(found) ? found.equals(content) : found, lists];
  };
  assert.deepEqual(await readAll([whole], 'NotFound'), [true, 1]);
  assert.deepEqual(await readAll(pieces, 'NotFound'), ['NotFound', 2]);
  assert.deepEqual(await readAll([whole], 'Unavailable'), ['Unavailable', 0]);
});
