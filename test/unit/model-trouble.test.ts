import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActivityFailure, TimeoutFailure } from '@temporalio/common';
import { messageOf } from '../../workflows/lib/conclude.ts';
import type { Journal } from '../../workflows/lib/journal.ts';
import type { Notice, Notices } from '../../workflows/lib/notices.ts';
import { STEADY_MS, Trouble } from '../../workflows/lib/trouble.ts';
import { failure } from '../../workflows/model/failure.ts';

const MINUTE_MS = 60_000;
const away = new ActivityFailure('x', 'streamWal', '1', 'MAXIMUM_ATTEMPTS_REACHED', '', failure('Unavailable', 'away'));
const denied = new ActivityFailure('x', 'streamWal', '1', 'NON_RETRYABLE_FAILURE', '', failure('Denied', 'denied'));

test('trouble of a stream: pauses grow, people are told once, again after hours, and when it is over', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const sent: Notice[] = [];
  const shown: (string | undefined)[] = [];
  const trouble = new Trouble(
    { note: () => undefined, attention: (text: string | undefined) => shown.push(text) } as unknown as Journal,
    { send: (notice: Notice) => sent.push(notice) } as unknown as Notices,
  );
  const fail = (error: Error, ranMs = 0): number => {
    const pauseMs = trouble.failed(error, { ranMs, title: 'not streamed', message: 'away' });
    t.mock.timers.tick(pauseMs);
    return pauseMs;
  };
  assert.deepEqual(Array.from({ length: 6 }, () => fail(away)), [1000, 2000, 4000, 8000, 16_000, 30_000]); // prettier-ignore
  assert.deepEqual([sent.length, trouble.isShown], [0, false]);
  assert.equal(fail(away), 30_000);
  assert.deepEqual([sent.length, trouble.isShown], [1, true]);
  for (let ms = 0; ms < 5 * 60 * MINUTE_MS; ms += 30_000) fail(away);
  assert.equal(sent.length, 1);
  for (let ms = 0; ms < 65 * MINUTE_MS; ms += 30_000) fail(away);
  assert.equal(sent.length, 2);
  assert.equal(shown.at(-1), 'away');
  trouble.remains('a hole is left');
  assert.equal(shown.at(-1), 'away; a hole is left');
  fail(away);
  assert.equal(shown.at(-1), 'away; a hole is left');
  trouble.over('streamed again');
  assert.deepEqual([sent.at(-1)?.severity, shown.at(-1), trouble.isShown], ['info', 'a hole is left', false]);
  trouble.remains(undefined);
  assert.equal(shown.at(-1), undefined);
  trouble.over('streamed again');
  assert.equal(sent.length, 3);
  assert.equal(fail(away), 1000, 'a new row begins');
});

test('trouble of a stream: an attempt that lasted begins a new row; what cannot get better is told at once', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const sent: Notice[] = [];
  const trouble = new Trouble(
    { note: () => undefined, attention: () => undefined } as unknown as Journal,
    { send: (notice: Notice) => sent.push(notice) } as unknown as Notices,
  );
  const fail = (error: Error, ranMs: number): number => trouble.failed(error, { ranMs, title: 't', message: 'm' });
  for (let count = 0; count < 20; count++) {
    t.mock.timers.tick(STEADY_MS);
    assert.equal(fail(away, STEADY_MS), 1000);
  }
  assert.equal(sent.length, 0);
  assert.equal(fail(denied, 0), MINUTE_MS);
  assert.equal(sent.length, 1);
});

test('trouble of a stream: a host whose worker does not come is told like any other', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 0 });
  const sent: Notice[] = [];
  const trouble = new Trouble(
    { note: () => undefined, attention: () => undefined } as unknown as Journal,
    { send: (notice: Notice) => sent.push(notice) } as unknown as Notices,
  );
  const late = new TimeoutFailure('activity ScheduleToStart timeout', undefined, 'SCHEDULE_TO_START');
  const unclaimed = new ActivityFailure('x', 'streamWal', '1', 'TIMEOUT', '', late);
  for (let attempt = 0; attempt < 2; attempt++) {
    t.mock.timers.tick(2 * MINUTE_MS);
    trouble.failed(unclaimed, { ranMs: 2 * MINUTE_MS, title: 'not streamed', message: messageOf(unclaimed) });
  }
  assert.match(sent[0]?.body ?? '', /^no worker of its host has taken it/);
  assert.deepEqual([sent.length, trouble.isShown], [1, true]);
});
