import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { editDistance, nearestName } from '../../workflows/model/nearest.ts';
import { checkOrder, checkTarget } from '../../workflows/model/order-check.ts';
import { isoOfMicros, parseTargetTime, timeMicros } from '../../workflows/model/target-parse.ts';
import { describeTarget } from '../../workflows/model/target.ts';

test('target times: every form with an offset, to UTC with microseconds', () => {
  const cases: [string, string][] = [
    ['2026-03-01T12:00:00Z', '2026-03-01T12:00:00.000000Z'],
    ['2026-03-01 12:00:00+00', '2026-03-01T12:00:00.000000Z'],
    ['2026-03-01t12:00z', '2026-03-01T12:00:00.000000Z'],
    [' 2026-03-01 12:00:00.5 +01:00 ', '2026-03-01T11:00:00.500000Z'],
    ['2026-03-01T00:30:00+0130', '2026-02-28T23:00:00.000000Z'],
    ['2026-03-01T12:00:00-0330', '2026-03-01T15:30:00.000000Z'],
    ['2026-03-01T12:00:00,123456789Z', '2026-03-01T12:00:00.123456Z'],
    ['2024-02-29T23:59:59.999999Z', '2024-02-29T23:59:59.999999Z'],
  ];
  for (const [text, iso] of cases) {
    assert.equal(parseTargetTime(text), iso, text);
    assert.equal(parseTargetTime(iso), iso, 'its own form stays');
  }
});

test('target times: what could mean another moment is refused, with what to write', () => {
  const cases: [string, RegExp][] = [
    ['yesterday', /is not an absolute time/],
    ['5 minutes ago', /is not an absolute time/],
    ['2026-03-01', /is a day, not a moment/],
    ['2026-03-01T12:00:00', /has no offset/],
    ['2026-03-01T12:00:00 CET', /has no offset/],
    ['2026-03-01T12:00:00+25:00', /has no offset/],
    ['2026-03-01T12:00:00+01:75', /has no offset/],
    ['2026-02-29T12:00:00Z', /does not exist in the calendar/],
    ['2026-13-01T12:00:00Z', /does not exist in the calendar/],
    ['2026-03-01T24:00:00Z', /does not exist in the calendar/],
    ['2026-03-01T12:00:60Z', /does not exist in the calendar/],
    ['1999-03-01T12:00:00Z', /does not exist in the calendar/],
    ['', /is not an absolute time/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseTargetTime(text), (error: Error) => {
      assert.equal(failureTypeOf(error), 'ConfigInvalid', text);
      assert.match(error.message, message);
      return true;
    }); // prettier-ignore
  }
  assert.throws(() => parseTargetTime('2026-03-01 12:00'), (error: Error) => {
    assert.match(failureFacts(error).hint ?? '', /2026-03-01T12:00Z for UTC/);
    return true;
  }); // prettier-ignore
});

test('target times: microseconds survive the way there and back', () => {
  for (let index = 0; index < 500; index++) {
    const micros = (946_684_800 + index * 15_700_003) * 1_000_000 + ((index * 7919) % 1_000_000);
    assert.equal(timeMicros(isoOfMicros(micros)), micros);
  }
});

test('targets: one form of each', () => {
  const cases: [unknown, unknown, string][] = [
    [{ kind: 'latest' }, { kind: 'latest' }, 'the newest moment in the vault'],
    [{ kind: 'immediate' }, { kind: 'immediate' }, 'the end of the backup'],
    [{ kind: 'name', name: 'before 2.0' }, { kind: 'name', name: 'before 2.0' }, 'restore point "before 2.0"'],
    [{ kind: 'lsn', lsn: 'a/0b' }, { kind: 'lsn', lsn: 'A/B', inclusive: true }, 'LSN A/B'],
    [{ kind: 'xid', xid: '742', inclusive: false }, { kind: 'xid', xid: '742', inclusive: false }, 'just before transaction 742'],
    [
      { kind: 'time', time: '2026-03-01T12:00:00+01:00' },
      { kind: 'time', time: '2026-03-01T11:00:00.000000Z', inclusive: true },
      '2026-03-01T11:00:00.000000Z',
    ],
  ]; // prettier-ignore
  for (const [given, target, words] of cases) {
    const checked = checkTarget('target', given);
    assert.deepEqual(checked, target);
    assert.equal(describeTarget(checked), words);
    assert.deepEqual(checkTarget('target', checked), checked, 'its own form stays');
  }
});

test('targets: what would silently mean another one is refused', () => {
  const bad: unknown[] = [
    ...[null, [], 'latest', 5, {}, { kind: 'toString' }, { kind: 5 }],
    ...[
      { kind: 'latest', lsn: '0/1' },
      { kind: 'immediate', inclusive: false },
      { kind: 'name', name: '' },
    ],
    ...[
      { kind: 'name', name: 'x', inclusive: true },
      { kind: 'xid', xid: 742 },
      { kind: 'xid', xid: '-1' },
    ],
    ...[
      { kind: 'xid', xid: '0742' },
      { kind: 'lsn', lsn: '0' },
      { kind: 'lsn', lsn: '0/1', xid: '5' },
    ],
    ...[{ kind: 'time' }, { kind: 'time', time: '2026-03-01T12:00:00Z', inclusive: null }],
  ];
  for (const given of bad) {
    assert.throws(() => checkTarget('target', given), (error) => failureTypeOf(error) === 'ConfigInvalid', JSON.stringify(given)); // prettier-ignore
  }
});

test('orders: a misspelt key names the nearest one; keys of an object’s own making are none', () => {
  const shape = { 'source!': 'name', target: 'target', 'tags!': 'texts' } as const;
  const good = { source: 'shop-2', tags: { a: 'b' } };
  assert.deepEqual(checkOrder('test', good, shape), good);
  assert.throws(
    () => checkOrder('test', { ...good, traget: 1 }, shape),
    /unknown key "traget", did you mean "target"\?/,
  );
  for (const order of [JSON.parse('{"source":"shop","tags":{},"__proto__":1}'), { ...good, constructor: 1 }]) {
    assert.throws(() => checkOrder('test', order, shape), /unknown key/);
  }
  for (const source of ['Shop', 'shop_2', '-shop', 'shop-', 'x'.repeat(51), 'a/b', ' shop']) {
    assert.throws(() => checkOrder('test', { ...good, source }, shape), /order test.source is not a name/, source);
  }
});

test('nearest name: one that a person may have meant, or none', () => {
  const known = ['source', 'target', 'timeline', 'point'];
  const cases: [string, string | undefined][] = [
    ['tagret', 'target'],
    ['Source', 'source'],
    ['sorce', 'source'],
    ['timelines', 'timeline'],
    ['password', undefined],
    ['', undefined],
  ];
  for (const [found, near] of cases) assert.equal(nearestName(found, known), near, found);
  assert.equal(editDistance('ab', 'ba'), 1);
  assert.equal(editDistance('', 'abc'), 3);
  for (const [a, b] of [['kitten', 'sitting'], ['flaw', 'lawn']] as const) assert.equal(editDistance(a, b), editDistance(b, a)); // prettier-ignore
});
