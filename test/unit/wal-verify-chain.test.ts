import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chain } from '../../activities/sources/postgres/wal/verify/chain.ts';
import { checkRun } from '../../activities/sources/postgres/wal/verify/check-run.ts';
import { PAGE, SEGMENT, wal } from '../support/wal-pages.ts';

/** The border of two segments. */
const BORDER = 2 * SEGMENT;

interface Stretches {
  start: number;
  /** Where the stretches meet. */
  cuts: number[];
  end: number;
  records: (number | 'switch')[];
  change?: (bytes: Buffer) => void;
}

/** What is wrong in stretches that are checked each by itself and joined, as objects of a vault are; and how many records they have. */
function checked({ start, cuts, end, records, change }: Stretches): { wrong: string[]; count: number } {
  const bytes = wal(BigInt(start), BigInt(end), records);
  change?.(bytes);
  const order = { systemId: '7', timeline: 1, segmentBytes: SEGMENT, forks: [], magic: 0 };
  let chain = new Chain();
  const wrong: string[] = [];
  let count = 0;
  const starts = [start, ...cuts];
  for (const [index, from] of starts.entries()) {
    const to = starts[index + 1] ?? end;
    const said = checkRun(bytes.subarray(from - start, to - start), { ...order, start: from });
    count += said.records;
    const found = chain.add({ timeline: 1, start: from, end: to, segmentBytes: SEGMENT }, said);
    if (found) wrong.push(`${found.what}: ${found.found}`);
    // As another attempt would go on.
    chain = new Chain(chain.state && JSON.parse(JSON.stringify(chain.state)));
  }
  return { wrong, count };
}

const TAIL = [100, 200, 100];

test('WAL that begins at a page is followed over the borders of objects', () => {
  const records = [PAGE - 64, 3 * PAGE, ...TAIL];
  const from = { start: BORDER - 2 * PAGE, cuts: [BORDER - PAGE, BORDER], end: BORDER + 4 * PAGE, records };
  assert.deepEqual(checked(from), { wrong: [], count: records.length });
  const change = (bytes: Buffer): void => void (bytes[2 * PAGE + 100] = 0xff);
  assert.match(checked({ ...from, change }).wrong.join(), /record checksum/);
});

test('behind a hole that ends inside of a page nothing is wrong that cannot be known', () => {
  // Each begins where a record does, in the last page of the segment or some before it, and what the border cuts began in there.
  const cases: Record<string, Omit<Stretches, 'cuts' | 'end'>> = {
    'a record is open where the page ends': { start: BORDER - PAGE + 4000, records: [104, 20_000, ...TAIL] },
    'a record that is longer than all of the stretch': {
      start: BORDER - 3 * PAGE + 4000,
      records: [5 * PAGE, ...TAIL],
    },
    'a switch, and zeros to the end of the segment': {
      start: BORDER - 3 * PAGE + 4000,
      records: [104, 'switch', ...TAIL],
    },
    'a switch that the page cuts': { start: BORDER - 2 * PAGE - 120, records: [104, 'switch', ...TAIL] },
    'nothing but whole records': { start: BORDER - PAGE + 4000, records: [PAGE - 4000, ...TAIL] },
  };
  for (const [name, { start, records }] of Object.entries(cases)) {
    const { wrong, count } = checked({ start, records, cuts: [BORDER], end: BORDER + 6 * PAGE });
    assert.deepEqual(wrong, [], name);
    assert.equal(count, TAIL.length, name);
  }
  const whole = { start: BORDER - 3 * PAGE + 4000, cuts: [], end: BORDER + 6 * PAGE };
  const both = checked({ ...whole, records: [104, 'switch', ...TAIL] });
  assert.deepEqual(both, { wrong: [], count: TAIL.length }, 'one object of two segments');
  const all = { start: BORDER - PAGE + 4000, cuts: [BORDER], end: BORDER + 6 * PAGE, records: [104, 20_000, ...TAIL] };
  const change = (bytes: Buffer): void => void (bytes[PAGE - 4000 + 2 * PAGE + 4000] = 0xff);
  assert.match(checked({ ...all, change }).wrong.join(), /./, 'what is known is checked');
});

test('a switch whose header the border of two objects cuts leaves zeros behind it', () => {
  const records = [PAGE - 24 - 8, 'switch', ...TAIL] as const;
  const from = { start: BORDER - PAGE, cuts: [BORDER, BORDER + SEGMENT], end: BORDER + SEGMENT + PAGE };
  assert.deepEqual(checked({ ...from, records: [...records] }), { wrong: [], count: records.length });
});
