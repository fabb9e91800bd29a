import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../../workflows/model/units.ts';

test('durations need a unit and may have several', () => {
  const good: [string, number][] = [
    ['500ms', 500],
    ['5s', 5000],
    ['1.5s', 1500],
    ['90m', 5_400_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
  ];
  for (const [text, ms] of good) assert.equal(parseDuration(text), ms, text);
  for (const text of ['', '5', '5 parsecs', 's', '-5s', '5s,', '1h 30'])
    assert.throws(
      () => parseDuration(text),
      (error) => failureTypeOf(error) === 'ConfigInvalid',
      text,
    );
});

test('sizes tell binary from decimal units', () => {
  const good: [string, number][] = [
    ['1B', 1],
    ['16MiB', 16_777_216],
    ['1.5GB', 1_500_000_000],
    ['64KiB', 65_536],
    ['1TiB', 2 ** 40],
  ];
  for (const [text, bytes] of good) assert.equal(parseBytes(text), bytes, text);
  for (const text of ['16', '16mb', '1 GiBs'])
    assert.throws(
      () => parseBytes(text),
      (error) => failureTypeOf(error) === 'ConfigInvalid',
      text,
    );
});

test('what is shown fits in a line and can be read back', () => {
  const shown: [number, string][] = [
    [0, '0ms'],
    [999, '999ms'],
    [1000, '1s'],
    [61_000, '1m1s'],
    [3_600_000, '1h'],
    [5_400_000, '1h30m'],
    [90_000_000, '1d1h'],
  ];
  for (const [ms, text] of shown) {
    assert.equal(formatDuration(ms), text);
    assert.equal(parseDuration(text), ms);
  }
  assert.deepEqual(
    [0, 1023, 1024, 16 << 20, 5 * 2 ** 40].map((bytes) => formatBytes(bytes)),
    ['0 B', '1023 B', '1.0 KiB', '16.0 MiB', '5.0 TiB'],
  );
});
