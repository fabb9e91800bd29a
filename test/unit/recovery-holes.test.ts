import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingAfter } from '../../activities/sources/postgres/recovery/holes.ts';
import type { Held } from '../../activities/sources/postgres/recovery/holes.ts';

function held(ranges: [string, string][], promisedLsn?: string): Held {
  const objects = ranges.map(([startLsn, endLsn]) => ({
    ...{ systemId: '1', timeline: 1, startLsn, endLsn },
    ...{ key: startLsn, storedBytes: 1 },
  }));
  const shared = { objects, histories: [], timeline: 1, segmentBytes: 16 << 20 };
  return { ...shared, ...(promisedLsn === undefined ? {} : { promisedLsn }) };
}

const PLANNED = '0/8015A60';

test('WAL that came after the plan is not missing, in one piece or behind a hole that is about to be filled', () => {
  assert.equal(missingAfter(held([['0/1000000', '0/F000000']], PLANNED), '0/8015A00'), undefined);
  const growing = held([['0/1000000', '0/8020000'], ['0/9000000', '0/9000100']], PLANNED); // prettier-ignore
  assert.equal(missingAfter(growing, '0/8015A00'), undefined);
});

test('a hole where the plan ended, and WAL that was planned and not read, are missing', () => {
  const broken = held([['0/1000000', PLANNED], ['0/9000000', '0/9000100']], PLANNED); // prettier-ignore
  assert.equal(missingAfter(broken, '0/8015A00')?.from, PLANNED);
  assert.equal(missingAfter(held([['0/1000000', '0/F000000']], PLANNED), '0/2000000')?.from, '0/2000000');
  assert.equal(missingAfter(held([['0/1000000', '0/F000000']]), '0/8015A00')?.from, '0/8015A00');
});
