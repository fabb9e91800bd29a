import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import { readRivalOptions, ROWS } from '../bench/rivals/options.ts';
import { ratiosOf, toBestRival } from '../bench/rivals/ratios.ts';
import { LINE } from '../bench/rivals/rows.ts';
import { segmentEnd, segmentsOf, startOfSegment } from '../bench/rivals/segments.ts';
import { lags } from '../bench/rivals/shipping.ts';
import type { Cell, Line } from '../bench/rivals/turns.ts';

suite('bench rivals: options', () => {
  const wrong: [words: string[], said: RegExp][] = [
    [['--scale'], /^--scale needs a value$/],
    [['--scale', 'x'], /^--scale is x; expected a whole number from 1 to 5000$/],
    [['--scale', '--runs', '2'], /^--scale needs a value$/],
    [['--runs', '0'], /^--runs is 0; expected a whole number from 1 to 100$/],
    [['--only', 'full,foo'], /^--only names foo; expected full, restore/],
    [['--only='], /^--only needs a value$/],
    [['--only', 'full,'], /^--only names nothing; expected full/],
    [['--store', 'ftp'], /^--store names ftp; expected folder, s3$/],
    [['--frob', '3'], /^--frob is no option of bench rivals$/],
    [['--no-json'], /^--no-json is no option of bench rivals$/],
    [['--json=yes'], /^--json takes no value$/],
    [['extra'], /^extra is no option of bench rivals$/],
  ];
  for (const [words, said] of wrong) {
    test(words.join(' '), () => {
      assert.throws(() => readRivalOptions(words), { message: said });
    });
  }

  test('defaults are what the goals are for: everything, and at least 2 GB of WAL', () => {
    const { scale, runs, rows, places, json, report, walBytes, smallRelations } = readRivalOptions([]);
    assert.deepEqual(
      { scale, runs, rows, places, json },
      { scale: 200, runs: 5, rows: [...ROWS], places: ['folder'], json: false },
    );
    assert.equal(report, 'docs/benchmarks-rivals.md');
    assert.ok(walBytes >= 2e9);
    assert.equal(smallRelations, 100_000);
  });

  test('rows are measured in one order, however they are named', () => {
    assert.deepEqual(readRivalOptions(['--only', 'replay,full', '--store', 's3,folder']).rows, ['full', 'replay']);
  });
});

suite('bench rivals: figures', () => {
  test('names of the segments of a span, and the end of each', () => {
    const span = { fromLsn: '0/FF000000', toLsn: '1/1000000' };
    assert.deepEqual(segmentsOf(span), ['0000000100000000000000FF', '000000010000000100000000']);
    assert.equal(formatLsn(segmentEnd('0000000100000000000000FF') ?? 0n), '1/0');
    assert.equal(segmentEnd('00000002.history'), undefined);
    assert.equal(segmentEnd('0000000100000000000000FF.00000028.backup'), undefined);
    assert.equal(startOfSegment('1/1234567'), '1/1000000');
  });

  test('lag is until what was written then is durable, whenever that is seen', () => {
    const look = (atMs: number, written: number, durable: number): Parameters<typeof lags>[0][number] => ({
      ...{ atMs, written: BigInt(written), durable: BigInt(durable) },
    });
    const looks = [look(0, 10, 0), look(10, 20, 0), look(30, 30, 20), look(100, 30, 30)];
    assert.deepEqual(lags(looks, 3), { lagP50Ms: 30, lagP99Ms: 70, lagMaxMs: 70 });
    assert.equal(parseLsn('0/A'), 10n);
  });

  test('ratios are ours to the best rival; null where somebody has no figures', () => {
    const lines = [
      line(LINE.full, { lifeboat: [8, 9, 30], 'lifeboat, local mode': [5], pgBackRest: [10], 'WAL-G': [12] }),
      line(LINE.delta, { lifeboat: undefined, pgBackRest: [10] }),
      line(LINE.replay, { lifeboat: [9], pgBackRest: undefined, 'WAL-G': undefined }),
      line(LINE.restoreFiles, { lifeboat: [9], 'lifeboat, local mode': [6], pgBackRest: undefined, 'WAL-G': [12] }),
    ];
    const { ratios, lagP99Ms, walMBps } = ratiosOf(lines);
    assert.deepEqual(ratios, {
      ...{ full: 0.5, fullAgentless: 0.9, incremental: null, restore: 0.5, delta: null, replay: null },
      // The samples' memory is a hundred times their time; nothing was stored.
      ...{ stored: null, rss: 0.417 },
    });
    assert.deepEqual({ lagP99Ms, walMBps }, { lagP99Ms: null, walMBps: null });
    assert.equal(
      toBestRival(lines[0] as Line, ({ wallMs }) => wallMs, ['WAL-G']),
      1.2,
    );
  });
});

function line(name: string, walls: Record<string, number[] | undefined>): Line {
  const cell = (found: number[] | undefined): Cell =>
    found
      ? { samples: found.map((wallMs) => ({ wallMs, cpuSeconds: 1, peakRssBytes: wallMs * 100 })) }
      : { reason: 'none' };
  return { name, cells: new Map(Object.entries(walls).map(([who, found]) => [who, cell(found)])) };
}
