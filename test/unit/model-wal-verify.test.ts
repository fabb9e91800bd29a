import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { WalObject } from '../../workflows/model/wal.ts';
import { parseSince } from '../../workflows/model/wal-since.ts';
import type { WalVerdict } from '../../workflows/model/wal-verify.ts';
import { verdictOf } from '../../workflows/model/wal-verify.ts';
import { samplePoint } from '../support/sample-report.ts';

const AT = '2026-01-05T03:0';

/** Segments 2 to 6 of timeline 1, one object each, the newest commit in minute n of the hour. */
function objectOf(segment: number): WalObject {
  return {
    ...{ systemId: '7', timeline: 1, key: `wal/${segment}`, storedBytes: 100 },
    ...{ startLsn: `0/${segment}000000`, endLsn: `0/${segment + 1}000000` },
    lastCommitMicros: Date.parse(`${AT}${segment}:00Z`) * 1000,
  };
}

function pointOf(point: string, segment: number): PointSummary {
  return {
    ...samplePoint(),
    ...{ point, kind: 'full', systemId: '7', timeline: 1, segmentBytes: 2 ** 24 },
    ...{ startLsn: `0/${segment}000028`, stopLsn: `0/${segment}000100`, stoppedAt: `${AT}${segment}:30.000000Z` },
  };
}

const SEGMENTS = [2, 3, 4, 5, 6];

function verdict(
  without: { missing?: number[]; bad?: number[] },
  points = [pointOf('p2', 2), pointOf('p5', 5)],
): WalVerdict {
  const objects = SEGMENTS.filter((segment) => !without.missing?.includes(segment)).map(objectOf);
  const bad = new Set(without.bad?.map((segment) => `wal/${segment}`));
  return verdictOf({ systemId: '7', points, objects, histories: [], bad });
}

test('what damage costs: the moments from the first wrong object to the next base', () => {
  assert.deepEqual(verdict({}), { holes: [], lost: [], unusable: [] });
  assert.deepEqual(verdict({ bad: [3] }), {
    ...{ holes: [], unusable: [] },
    lost: [
      {
        ...{ timeline: 1, fromLsn: '0/3000000', toLsn: '0/5000100' },
        ...{ from: `${AT}2:30.000000Z`, to: `${AT}5:30.000000Z` },
      },
    ],
  });
  const [end] = verdict({ bad: [6] }).lost;
  assert.deepEqual([end?.fromLsn, end?.toLsn, end?.to], ['0/6000000', '0/7000000', `${AT}6:00.000000Z`]);
});

test('a point without the WAL that makes it consistent is told, damaged or missing', () => {
  const damaged = verdict({ bad: [2] });
  assert.deepEqual(damaged.unusable.map(({ point }) => point), ['p2']); // prettier-ignore
  assert.match(damaged.unusable[0]?.reason ?? '', /is damaged$/);
  assert.deepEqual(damaged.lost.map(({ fromLsn, toLsn }) => [fromLsn, toLsn]), [['0/2000100', '0/5000100']]); // prettier-ignore
  const missing = verdict({ missing: [5] });
  assert.deepEqual(missing.unusable.map(({ point }) => point), ['p5']); // prettier-ignore
  assert.match(missing.unusable[0]?.reason ?? '', /is not in the vault$/);
  assert.equal(missing.holes[0]?.until, undefined, 'no base begins behind it');
});

test('a hole says what was the newest commit before it, and which base closes it', () => {
  assert.deepEqual(verdict({ missing: [4] }).holes, [
    {
      ...{ systemId: '7', timeline: 1, fromLsn: '0/4000000', toLsn: '0/5000000', bytes: 2 ** 24 },
      ...{ after: `${AT}3:00.000000Z`, until: `${AT}5:30.000000Z` },
    },
  ]);
});

test('since is a moment or a position', () => {
  assert.deepEqual(parseSince('16/b374d848'), { lsn: '16/B374D848' });
  assert.deepEqual(parseSince('2026-01-05T03:00:00+01:00'), { micros: Date.parse('2026-01-05T02:00:00Z') * 1000 });
  for (const text of ['yesterday', '2026-01-05', '16/xyz', '/'])
    assert.throws(() => parseSince(text), /is neither/, text);
});
