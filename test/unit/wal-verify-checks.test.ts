import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chain } from '../../activities/sources/postgres/wal/verify/chain.ts';
import type { RunJob } from '../../activities/sources/postgres/wal/verify/check-run.ts';
import { checkRun } from '../../activities/sources/postgres/wal/verify/check-run.ts';
import { PAGE, SEGMENT, wal } from '../support/wal-pages.ts';

/** Page by page, in the midst of a segment. */
const START = SEGMENT + 2 * PAGE;
const CUT = START + PAGE;
const END = CUT + PAGE;
/** What a record may take of a page. */
const ROOM = PAGE - 24;
const ORDER: RunJob = { systemId: '7', timeline: 1, segmentBytes: SEGMENT, forks: [], magic: 0, start: START };

type Records = (number | 'switch')[];

/** What is wrong where two stretches meet, each of which is right by itself. */
function atBorder(first: Records, second: Records | 'zeros', change?: (bytes: Buffer) => void): string {
  const halves = [wal(BigInt(START), BigInt(END), first).subarray(0, PAGE), Buffer.alloc(PAGE)] as const;
  if (second !== 'zeros') wal(BigInt(START), BigInt(END), second).copy(halves[1], 0, PAGE);
  change?.(halves[1]);
  const chain = new Chain();
  const found = halves.map((bytes, index) => {
    const start = START + index * PAGE;
    const said = checkRun(bytes, { ...ORDER, start });
    assert.equal(said.wrong, undefined);
    return chain.add({ timeline: 1, start, end: start + PAGE, segmentBytes: SEGMENT }, said);
  });
  assert.equal(found[0], undefined);
  const [, wrong] = found;
  return wrong ? `${wrong.what}: not ${wrong.expected} but ${wrong.found}` : 'nothing';
}

const OVERWRITES = (bytes: Buffer): void => void bytes.writeUInt16LE(8, 2);
const flip = (at: number) => (bytes: Buffer) => void (bytes[at] = ~(bytes[at] as number) & 0xff);

const BORDERS: readonly [first: Records, second: Records | 'zeros', says: RegExp, change?: (bytes: Buffer) => void][] =
  [
    [[ROOM], [ROOM, 100], /^nothing$/],
    [[ROOM + 500], [ROOM + 500, 100], /^nothing$/],
    [[100, 'switch'], 'zeros', /^nothing$/],
    [[100, 'switch'], [ROOM, 100], /not zeros, behind a switch of segments but records behind zeros/],
    [[100], [ROOM, 100], /not records that follow but records behind zeros/],
    [[ROOM], 'zeros', /^WAL: not records that follow but zeros/],
    [[ROOM], [ROOM, 100], /magic number: not d118 but d116/, (bytes) => void bytes.writeUInt16LE(0xd116, 0)],
    [[ROOM], [4000, ROOM - 4000, 100], /^record: the one before it: not 0\/1004018 but 0\/1004FB8/],
    [[ROOM], [ROOM + 500, 100], /^WAL: not a record that begins but 500 bytes of one that did not begin before/],
    [[ROOM + 1000], [ROOM + 504, 100], /goes on: not 1000 bytes but 504 bytes/],
    [[ROOM + 1000], [ROOM, 100], /goes on: not 1000 bytes but the beginning of another record/],
    [[ROOM - 8, 96], [4000, ROOM - 4008, 96], /^record: the one before it: not 0\/1004018 but 0\/1004FB8/],
    [[ROOM + 1000], [ROOM + 1000, 100], /^record checksum/, flip(24 + 500)],
    [[ROOM - 8, 1000], [ROOM - 8, 1000], /^record checksum/, flip(24 + 500)],
    // What was open is none: the next one stands on the one before it.
    [[4000, ROOM - 4000 + 1000], [ROOM, 100], /^nothing$/, OVERWRITES],
    [[ROOM - 8, 1000], [4000, ROOM - 4000, 100], /^record: the one before it/, OVERWRITES],
  ];

test('where objects meet, each thing that does not fit is told', () => {
  for (const [first, second, says, change] of BORDERS)
    assert.match(atBorder(first, second, change), says, `${first.join()} | ${second.toString()}`);
});

/** What is wrong in one stretch that was changed. */
function inside(records: Records, change: (bytes: Buffer) => void, order: Partial<RunJob> = {}): string {
  const start = order.start ?? START;
  const bytes = wal(BigInt(start), BigInt(start + 4 * PAGE), records);
  assert.equal(checkRun(bytes, { ...ORDER, start }).wrong, undefined);
  change(bytes);
  return checkRun(bytes, { ...ORDER, ...order }).wrong?.what ?? 'nothing';
}

const SMALL = [104, 104, ROOM - 208, 200, 200];
const NOTHING = (): void => undefined;
const put = (at: number, value: number) => (bytes: Buffer) => void bytes.writeUInt32LE(value, at);

const INSIDE: readonly [says: RegExp, change: (bytes: Buffer) => void, order?: Partial<RunJob>, records?: Records][] = [
  [/^nothing$/, NOTHING],
  [/^page header: magic number/, (bytes) => [0, PAGE].forEach((at) => bytes.writeUInt16LE(0xd018, at))],
  [/^page header: magic number/, NOTHING, { magic: 0xd116 }],
  [/^page header: magic number/, (bytes) => void bytes.writeUInt16LE(0xd116, PAGE)],
  [/^page header: flags/, (bytes) => void bytes.writeUInt16LE(0x10, PAGE + 2)],
  [/^page header: flags/, (bytes) => void bytes.writeUInt16LE(2, PAGE + 2)],
  [/^page header: address/, put(PAGE + 8, START)],
  [/^page header: timeline/, put(PAGE + 4, 2)],
  [/^page header: timeline/, put(PAGE + 4, 0), { forks: undefined }],
  [/^page header: timeline/, put(PAGE + 4, 2), { forks: undefined }],
  // A page is of the timeline on which it was begun.
  [/^nothing$/, put(PAGE + 4, 2), { timeline: 2, forks: [[1, CUT]] }],
  [/^page header: timeline/, put(PAGE + 4, 2), { timeline: 2, forks: [[1, CUT + 8]] }],
  [/^page header: what goes on/, (bytes) => void bytes.writeUInt16LE(1, PAGE + 2)],
  [/^page header: what goes on/, put(PAGE + 16, 8)],
  [/goes on$/, (bytes) => (put(PAGE + 16, 8)(bytes), void bytes.writeUInt16LE(1, PAGE + 2))],
  [/^record at .* goes on$/, put(PAGE + 16, 8), {}, [ROOM + 1000, 100]],
  [/^page header: system identifier/, NOTHING, { systemId: '8', start: SEGMENT }],
  [/^page header: segment size/, put(32, SEGMENT / 2), { start: SEGMENT }],
  [/^page header: page size/, put(36, PAGE * 2), { start: SEGMENT }],
  [/^record length/, put(24 + 104, 23)],
  [/^record length/, put(24 + 104, 2 ** 30 + 8)],
  [/^record: the one before it/, put(24 + 8, START + 24)],
  [/^record: the one before it/, put(24 + 104 + 8, START)],
  [/^record: the one before it/, put(24 + 4000 + 8, START), {}, [4000, ROOM, 100]],
  [/^record checksum/, flip(24 + 104 + 30)],
  [/^record checksum/, flip(24 + 104 + 17)],
  [/^record checksum/, flip(PAGE + 24 + 100), {}, [4000, ROOM, 100]],
  [/^WAL behind the last record/, flip(PAGE + 2000)],
  [/^WAL behind the last record/, flip(2000), {}, [104, 'switch']],
];

test('in an object each thing that is not as a server writes it is told', () => {
  for (const [index, [says, change, order, records = SMALL]] of INSIDE.entries())
    assert.match(inside(records, change, order), says, `case ${index}: ${says.source}`);
});

test('behind zeros that no switch left there is nothing', () => {
  const start = 2 * SEGMENT - PAGE;
  const bytes = Buffer.concat([
    wal(BigInt(start), BigInt(2 * SEGMENT), [100]),
    wal(BigInt(2 * SEGMENT), BigInt(2 * SEGMENT + PAGE), [100]),
  ]);
  assert.equal(checkRun(bytes, { ...ORDER, start }).wrong?.what, 'WAL behind zeros');
});
