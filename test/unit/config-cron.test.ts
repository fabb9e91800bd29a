import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCron } from '../../activities/config/cron.ts';
import { timezoneProblem } from '../../activities/config/timezone.ts';
import { failureFacts } from '../../workflows/model/failure.ts';

const upTo = (from: number, to: number, by = 1): number[] =>
  Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, index) => from + index * by);

test('cron: every form of a field', () => {
  const fields = parseCron('*/15 0,6-8,22 1-31/10 jan-mar,Dec *');
  assert.deepEqual(fields.minute, [0, 15, 30, 45]);
  assert.deepEqual(fields.hour, [0, 6, 7, 8, 22]);
  assert.deepEqual(fields.dayOfMonth, [1, 11, 21, 31]);
  assert.deepEqual(fields.month, [1, 2, 3, 12]);
  assert.deepEqual(fields.dayOfWeek, upTo(0, 6));
});

test('cron: a start with a step runs to the end of the field', () => {
  assert.deepEqual(parseCron('5/20 * * * *').minute, [5, 25, 45]);
  assert.deepEqual(parseCron('0 0 * * 1/2').dayOfWeek, [1, 3, 5]);
});

test('cron: Sunday is 0 and 7, and a range may end on it', () => {
  assert.deepEqual(parseCron('0 0 * * 7').dayOfWeek, [0]);
  assert.deepEqual(parseCron('0 0 * * 5-7').dayOfWeek, [0, 5, 6]);
  assert.deepEqual(parseCron('0 0 * * sat,SUN').dayOfWeek, [0, 6]);
});

test('cron: shorthands', () => {
  assert.deepEqual(parseCron('@weekly'), parseCron('0 0 * * 0'));
  assert.deepEqual(parseCron(' @Daily '), parseCron('0 0 * * *'));
});

for (const [text, expected] of [
  ['', /five fields/],
  ['0 2 * *', /five fields/],
  ['0 0 2 * * *', /five fields/],
  ['60 * * * *', /field minute: 0 to 59/],
  ['* 24 * * *', /field hour: 0 to 23/],
  ['* * 0 * *', /field dayOfMonth: 1 to 31/],
  ['* * * 13 *', /field month/],
  ['* * * * 8', /field dayOfWeek/],
  ['* * * foo *', /not "foo"/],
  ['*/0 * * * *', /not "\*\/0"/],
  ['5-3 * * * *', /not "5-3"/],
  ['1,,2 * * * *', /not ""/],
  ['-1 * * * *', /not "-1"/],
  ['*-5 * * * *', /not "\*-5"/],
  ['1e1 * * * *', /not "1e1"/],
  ['@sometimes', /five fields/],
  ['0 0 30 2 *', /a day that one of its months has/],
  ['0 0 31 4,6 *', /a day that one of its months has/],
  ['0 0 13 * 5', /not both/],
] as const) {
  test(`cron: "${text}" is refused`, () => {
    assert.throws(
      () => parseCron(text),
      (error: Error) => expected.test(failureFacts(error).expected ?? ''),
    );
  });
}

test('cron: 29 February comes now and then', () => {
  assert.deepEqual(parseCron('0 0 29 2 *').dayOfMonth, [29]);
});

test('time zones: names of the IANA list and their older names, nothing else', () => {
  for (const good of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Asia/Calcutta', 'US/Eastern']) {
    assert.equal(timezoneProblem(good), undefined, good);
  }
  assert.match(timezoneProblem('+02:00') ?? '', /does not follow the clock/);
  assert.match(timezoneProblem('UTC+2') ?? '', /does not follow the clock/);
  assert.match(timezoneProblem('europe/berlin') ?? '', /"Europe\/Berlin": names are case sensitive/);
  assert.match(timezoneProblem('Europe/Berln') ?? '', /did you mean "Europe\/Berlin"/);
  assert.match(timezoneProblem('Mars/Olympus') ?? '', /an IANA name/);
});
