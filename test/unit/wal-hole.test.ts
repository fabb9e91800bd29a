import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../workflows/model/failure.ts';
import { holeOf, isBaseStart, isBehind, isKnown } from '../../workflows/model/wal-hole.ts';
import type { WalHole } from '../../workflows/model/wal.ts';

const TOLD: WalHole = { systemId: '7', timeline: 2, from: '0/1000000', to: '1/0' };

test('a hole is known when it was told in full', () => {
  const cases: [Partial<WalHole>, boolean][] = [
    [{}, true],
    [{ to: '0/FFFFFFFF' }, true],
    [{ to: '1/1' }, false],
    [{ from: '0/0FFFFFF' }, false],
    [{ from: '0/1000001' }, false],
    [{ timeline: 1 }, false],
    [{ timeline: 3 }, false],
    [{ systemId: '8' }, false],
  ];
  for (const [changes, known] of cases) assert.equal(isKnown({ ...TOLD, ...changes }, TOLD), known, JSON.stringify(changes)); // prettier-ignore
  assert.equal(isKnown(TOLD, undefined), false);
});

test('a base closes the hole that it begins behind', () => {
  const base = { timeline: 2, startLsn: '1/0' };
  const cases: [object, boolean][] = [
    [{}, true],
    [{ systemId: '7' }, true],
    [{ timeline: 3, startLsn: 'A/0' }, true],
    [{ startLsn: '0/FFFFFFFF' }, false],
    [{ timeline: 3, startLsn: '0/FFFFFFFF' }, false],
    [{ timeline: 1, startLsn: 'A/0' }, false],
    [{ systemId: '7', startLsn: '0/0' }, false],
    // The source is another cluster now, whose positions are no measure.
    [{ systemId: '8' }, true],
    [{ systemId: '8', timeline: 1, startLsn: '0/0' }, true],
  ];
  for (const [changes, closes] of cases) assert.equal(isBehind({ ...base, ...changes }, TOLD), closes, JSON.stringify(changes)); // prettier-ignore
});

test('what comes with a signal is looked at before it counts', () => {
  assert.ok(isBaseStart({ timeline: 1, startLsn: '0/0' }));
  const others = [
    ...[undefined, null, 'x', 7, [], {}, { timeline: 1 }, { startLsn: '0/0' }, { timeline: '1', startLsn: '0/0' }],
    ...[
      { timeline: 1.5, startLsn: '0/0' },
      { timeline: 1, startLsn: 'x' },
      { timeline: 1, startLsn: 7 },
    ],
    { timeline: 1, startLsn: '0/0', systemId: 7 },
  ];
  for (const other of others) assert.ok(!isBaseStart(other), JSON.stringify(other));
});

test('only evidence makes a failure a hole', () => {
  assert.deepEqual(holeOf(failure('Integrity', 'lost', { evidence: { hole: TOLD } })), TOLD);
  assert.equal(holeOf(failure('Integrity', 'damaged', { evidence: { part: 3 } })), undefined);
  assert.equal(holeOf(new Error('lost')), undefined);
});
