import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT_CODES, exitCodeOf } from '../../client/exit-codes.ts';
import { failureJson, failureLines, reportOf } from '../../client/failure-report.ts';
import { Output } from '../../client/output.ts';
import { fitted, progressLine, RateMeter } from '../../client/progress-bar.ts';
import { pairLines, tableLines } from '../../client/table.ts';
import { FAILURE_TYPES, failure } from '../../workflows/model/failure.ts';
import { fakeHost } from '../support/cli-host.ts';

test('exit codes: every type of failure has one, no two share one, and 0, 1, 2, 130 mean what shells expect', () => {
  const codes = EXIT_CODES.map((row) => row.exitCode);
  assert.equal(new Set(codes).size, codes.length);
  assert.deepEqual(
    codes,
    [...codes].sort((a, b) => a - b),
  );
  for (const [type, { exitCode }] of Object.entries(FAILURE_TYPES)) {
    assert.equal(exitCodeOf(type as keyof typeof FAILURE_TYPES), exitCode);
  }
  assert.deepEqual((['Success', 'Unexpected', 'Usage', 'Interrupted'] as const).map(exitCodeOf), [0, 1, 2, 130]);
  assert.ok(
    codes.every((code) => code === 130 || code < 126),
    'shells use 126 and up themselves',
  );
});

test('a failure is told as message, facts and next command, and the same as JSON', () => {
  const error = failure('Precondition', 'target folder /data is not empty', {
    place: '/data',
    expected: 'an empty folder',
    found: '3 entries',
    hint: 'lifeboat restore shop --into /data2',
  });
  const report = reportOf(new Error('outer', { cause: error }));
  assert.deepEqual(failureLines(report), [
    'lifeboat: target folder /data is not empty',
    '  expected: an empty folder',
    '  found: 3 entries',
    '  next: lifeboat restore shop --into /data2',
  ]);
  assert.deepEqual(failureJson(report), {
    ok: false,
    error: {
      type: 'Precondition',
      message: 'target folder /data is not empty',
      place: '/data',
      expected: 'an empty folder',
      found: '3 entries',
      hint: 'lifeboat restore shop --into /data2',
    },
    exitCode: 5,
  });
});

test('the checks that a failure rests on are told one by one, and whole as JSON', () => {
  const checks = [
    { name: 'consistent state', ok: true, expected: 'reached', found: 'reached at 0/3000158' },
    { name: 'probe 1', ok: false, expected: 'true', found: 'false', detail: 'select count(*) > 0 from orders' },
  ];
  const proof = { ok: false, checks, relations: 3, rows: 0 };
  const report = reportOf(failure('Integrity', 'recovered cluster is not proven', { evidence: proof, hint: 'look' }));
  assert.deepEqual(failureLines(report), [
    'lifeboat: recovered cluster is not proven',
    '  ok    consistent state: reached at 0/3000158',
    '  fail  probe 1: false (select count(*) > 0 from orders)',
    '  next: look',
  ]);
  assert.deepEqual((failureJson(report)['error'] as { evidence: unknown }).evidence, proof);
  assert.equal(failureLines(reportOf(failure('Integrity', 'x', { evidence: checks }))).length, 3);
});

test('an error that is not ours is unexpected, with exit code 1', () => {
  assert.equal(reportOf(new TypeError('x is not a function')).exitCode, 1);
  assert.equal(reportOf('text').message, 'text');
});

test('tables align, numbers to the right', () => {
  assert.deepEqual(
    tableLines(
      ['POINT', 'SIZE'],
      [
        ['a', '9.0 MiB'],
        ['long-name', '120.0 MiB'],
      ],
    ),
    ['POINT      SIZE', 'a            9.0 MiB', 'long-name  120.0 MiB'],
  );
  assert.deepEqual(
    pairLines([
      ['source', 'shop'],
      ['at', undefined],
      ['id', '1'],
    ]),
    ['source  shop', 'id      1'],
  );
});

test('the rate is that of the last moments and starts afresh with a step or a retry', () => {
  const meter = new RateMeter(1000);
  meter.add('fetch', 0, 0);
  assert.equal(meter.bytesPerSecond(), undefined);
  meter.add('fetch', 500, 50);
  assert.equal(meter.bytesPerSecond(), 100);
  meter.add('fetch', 1500, 1050);
  meter.add('fetch', 2000, 1550);
  assert.equal(meter.bytesPerSecond(), 1000);
  meter.add('fetch', 2500, 0);
  assert.equal(meter.bytesPerSecond(), undefined);
  meter.add('replay', 3000, 10);
  assert.equal(meter.bytesPerSecond(), undefined);
});

test('a progress line has bar, percent, bytes, rate and time left, and leaves out what is unknown', () => {
  const MIB = 2 ** 20;
  assert.equal(
    progressLine({ run: 'restore/shop', step: 'fetch', doneBytes: 25 * MIB, totalBytes: 100 * MIB }, 5 * MIB),
    'restore/shop  fetch  [######..................]  25%  25.0 MiB of 100.0 MiB  5.0 MiB/s  15s left',
  );
  assert.equal(progressLine({ run: 'wal/shop', step: 'stream', doneBytes: 512 }, undefined), 'wal/shop  stream  512 B');
  assert.equal(progressLine({ run: 'r', step: 's', doneBytes: 9, totalBytes: 5 }, 1).includes('100%'), true);
  assert.equal(fitted('abcdef', 4), 'abc…');
});

test('a terminal gets one moving line, a pipe a line per step and now and then', () => {
  const terminal = fakeHost({ tty: true });
  const bar = new Output(terminal, false);
  bar.progress({ run: 'r', step: 'fetch' });
  bar.remark('worker came back');
  assert.equal(terminal.err, '\r\u001b[2Kr  fetch\r\u001b[2Kworker came back\n');

  const pipe = fakeHost();
  const plain = new Output(pipe, false);
  for (const [atMs, step] of [
    [0, 'fetch'],
    [1000, 'fetch'],
    [2000, 'replay'],
    [12_000, 'replay'],
  ] as const) {
    pipe.time = atMs;
    plain.progress({ run: 'r', step });
  }
  assert.deepEqual(pipe.err.split('\n'), ['r  fetch', 'r  replay', 'r  replay', '']);
  assert.equal(pipe.out, '');
});
