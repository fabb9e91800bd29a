import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pointPrefix, scheduleId, shortRun, slotName } from '../../workflows/model/names.ts';

test('names: a point is named by its second and its run, and sorts by time', () => {
  const run = '01a1fd1c-4adb-777e-87ec-f7d646729625';
  assert.equal(pointPrefix('2026-03-01T02:00:00.643Z', run), '20260301T020000Z-46729625');
  assert.ok(pointPrefix('2026-03-01T02:00:00Z', run) < pointPrefix('2026-03-01T02:00:01Z', run));
});

test('names: two runs of one second have names of their own, though their ids begin alike', () => {
  assert.notEqual(shortRun('01a1fd1c-4adb-777e-87ec-f7d646729625'), shortRun('01a1fd1c-3665-7bed-a4b0-5a2689e3be49'));
});

test('names: a slot is one that PostgreSQL takes', () => {
  assert.equal(slotName('Shop-2'), 'lifeboat_shop_2');
  assert.equal(slotName('x'.repeat(80)).length, 63);
  assert.equal(scheduleId('shop', 'backup'), 'lifeboat/shop/backup');
});
