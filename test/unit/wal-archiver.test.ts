import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handedOver } from '../../activities/sources/postgres/wal/archive/archiver.ts';
import type { WalRange } from '../../workflows/model/wal.ts';

const segmentBytes = 16 << 20;

const range = (timeline: number, startLsn: string, endLsn: string): WalRange => ({
  ...{ timeline, startLsn, endLsn },
  ...{ objects: 1, storedBytes: 1 },
});

test('what a server has handed over is told by its newest file, also behind a promotion, else by the vault', () => {
  const held = [range(1, '0/1000000', '0/2000000'), range(1, '0/9000000', '7/4000000')];
  const cases: [what: string, last: string | null, held: WalRange[], expected: string][] = [
    ['a segment', '000000010000000700000003', held, '7/4000000'],
    ['its last segment before a promotion', '000000010000000700000003', [], '7/4000000'],
    ['one of the new timeline', '000000020000000700000004', held, '7/5000000'],
    ['the beginning of a segment', '000000010000000700000004.partial', held, '7/4000000'],
    ['the history of a backup', '000000010000000700000003.00000028.backup', held, '7/4000000'],
    ['the history of a timeline', '00000002.history', held, '7/4000000'],
    ['nothing since its statistics were reset', null, held, '7/4000000'],
    ['what others overtake does not count', null, [...held, range(1, '7/5000000', '7/7000000')], '7/4000000'],
    [
      'a hole of long ago does not count',
      null,
      [range(1, '0/1000000', '0/2000000'), range(1, '7/0', '7/7000000')],
      '7/7000000',
    ],
    ['nothing, of which the vault has nothing', null, [], '0/0'],
  ];
  for (const [what, last, has, expected] of cases)
    assert.equal(handedOver(last, { segmentBytes, held: has }), expected, what);
});
