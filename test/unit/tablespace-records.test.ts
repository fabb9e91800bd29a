import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from '../../activities/io/crc32c.ts';
import { InsideCopy } from '../../activities/sources/postgres/recovery/inside-copy.ts';
import { madeInside } from '../../activities/sources/postgres/recovery/tablespace-records.ts';

const PAGE_BYTES = 8192;
const SEGMENT_BYTES = 1 << 17;
const START = 5n * BigInt(SEGMENT_BYTES);
const PATH = '/srv/source/fast disk';

/** A record as PostgreSQL writes it (xlogrecord.h): header, block ids, data; its sum over data and then header. */
function recordOf(manager: number, data: Buffer, before: Buffer = Buffer.alloc(0)): Buffer {
  const length = data.length < 256 ? Buffer.from([255, data.length]) : Buffer.from([254, 0, 0, 0, 0]);
  if (data.length >= 256) length.writeUInt32LE(data.length, 1);
  const record = Buffer.concat([Buffer.alloc(24), before, length, data]);
  record.writeUInt32LE(record.length, 0);
  record.writeUInt32LE(741, 4);
  record[17] = manager;
  record.writeUInt32LE(crc32c(record.subarray(0, 20), crc32c(record.subarray(24))), 20);
  return record;
}

function tablespace(oid: number, path: string, before?: Buffer): Buffer {
  const data = Buffer.alloc(4 + Buffer.byteLength(path) + 1);
  data.writeUInt32LE(oid, 0);
  data.write(path, 4);
  return recordOf(5, data, before);
}

/** Pages of WAL with these records in them, one behind the other; what is left is zeros. */
class Wal {
  readonly bytes = Buffer.alloc(3 * SEGMENT_BYTES);
  at = 0;

  get left(): number {
    return SEGMENT_BYTES - (this.at % SEGMENT_BYTES);
  }

  add(record: Buffer): void {
    this.at = Math.ceil(this.at / 8) * 8;
    for (let done = 0; done < record.length;) {
      if (this.at % PAGE_BYTES === 0) this.#page(done > 0 ? record.length - done : 0);
      const room = Math.min(PAGE_BYTES - (this.at % PAGE_BYTES), record.length - done);
      record.copy(this.bytes, this.at, done, done + room);
      done += room;
      this.at += room;
    }
  }

  #page(goesOnBytes: number): void {
    const isFirst = this.at % SEGMENT_BYTES === 0;
    this.bytes.writeUInt16LE(0xd118, this.at);
    this.bytes.writeUInt16LE((goesOnBytes > 0 ? 1 : 0) | (isFirst ? 2 : 0), this.at + 2);
    this.bytes.writeBigUInt64LE(START + BigInt(this.at), this.at + 8);
    this.bytes.writeUInt32LE(goesOnBytes, this.at + 16);
    this.at += isFirst ? 40 : 24;
  }

  segment(number: number): Buffer | undefined {
    const from = number * SEGMENT_BYTES;
    return from < this.at ? Buffer.from(this.bytes.subarray(from, from + SEGMENT_BYTES)) : undefined;
  }
}

/** Every record of pages, read by another way: all bytes but the page headers, then one record behind the other. */
function recordsOf(wal: Buffer): Buffer[] {
  const pages: Buffer[] = [];
  for (let at = 0; at < wal.length; at += PAGE_BYTES)
    pages.push(wal.subarray(at + (at % SEGMENT_BYTES === 0 ? 40 : 24), at + PAGE_BYTES));
  const bytes = Buffer.concat(pages);
  const records: Buffer[] = [];
  for (let at = 0; at + 24 <= bytes.length && bytes.readUInt32LE(at) > 0;) {
    const length = bytes.readUInt32LE(at);
    records.push(bytes.subarray(at, at + length));
    at += Math.ceil(length / 8) * 8;
  }
  return records;
}

/** What a server would be given, segment by segment, each by a keeper that has seen those before it or by one that has not. */
async function kept(wal: Wal, seesAll: boolean): Promise<{ records: Buffer[]; made: string[] }> {
  const made: string[] = [];
  const given: Buffer[] = [];
  let keeper = new InsideCopy();
  for (let number = 0; wal.segment(number); number++) {
    if (!seesAll) keeper = new InsideCopy();
    const placeOf = (at: number): { start: bigint; name: string } => ({
      start: START + BigInt(at * SEGMENT_BYTES),
      name: String(at),
    });
    const segment = wal.segment(number) as Buffer;
    const tablespaces = await keeper.keep(segment, placeOf(number), {
      before: async () =>
        number === 0 ? [] : [{ place: placeOf(number - 1), content: async () => wal.segment(number - 1) }],
      behind: async () => [wal.segment(number + 1)].filter((next) => next !== undefined),
    });
    made.push(...tablespaces.map(({ oid, location }) => `${oid} ${location}`));
    given.push(segment);
  }
  return { records: recordsOf(Buffer.concat(given)), made };
}

function filledTo(leftBytes: number): Wal {
  const wal = new Wal();
  while (wal.left > PAGE_BYTES) wal.add(recordOf(10, Buffer.alloc(Math.min(wal.left - PAGE_BYTES, 3000), 7)));
  while (wal.left > leftBytes + 200) wal.add(recordOf(10, Buffer.alloc(100, 7)));
  wal.add(recordOf(10, Buffer.alloc(wal.left - (wal.left % 8) - leftBytes - 26, 7)));
  return wal;
}

test('wherever the end of a segment cuts the record, its path is gone, its sum right, and all else as it was', async () => {
  for (let leftBytes = 8; leftBytes <= 88; leftBytes += 8) {
    for (const before of [Buffer.alloc(0), Buffer.from([252, 9, 0, 0, 0]), Buffer.from([253, 1, 0, 252, 9, 0, 0, 0])]) {
      const wal = filledTo(leftBytes);
      assert.equal(wal.left % SEGMENT_BYTES, leftBytes);
      wal.add(tablespace(16_500, PATH, before));
      wal.add(recordOf(10, Buffer.from('behind it')));
      wal.add(tablespace(16_501, `/${'x'.repeat(1022)}`));
      const expected = recordsOf(wal.bytes);
      for (const seesAll of [true, false]) {
        const { records, made } = await kept(wal, seesAll);
        const about = `${leftBytes} bytes left, ${before.length} before the data`;
        assert.equal(records.length, expected.length, about);
        const changed = records.filter((record, index) => !record.equals(expected[index] as Buffer));
        assert.equal(changed.length, 2, about);
        for (const record of changed) assert.equal(madeInside(record)?.location, '', about);
        assert.deepEqual([...new Set(made)].length, 2, about);
        assert.ok(made.includes(`16500 ${PATH}`), about);
      }
    }
  }
});

test('what looks like such a record inside of another one is left alone', async () => {
  const wal = new Wal();
  wal.add(recordOf(10, tablespace(16_500, PATH)));
  wal.add(recordOf(10, Buffer.concat([Buffer.alloc(6), tablespace(16_500, PATH)])));
  const expected = recordsOf(wal.bytes);
  const { records, made } = await kept(wal, true);
  assert.deepEqual(records, expected);
  assert.deepEqual(made, []);
});

test('a record that nobody goes on with is not given: the server asks again when there is more', async () => {
  const wal = filledTo(48);
  const before = recordsOf(wal.bytes).length;
  wal.add(tablespace(16_500, PATH));
  wal.at = SEGMENT_BYTES;
  const { records } = await kept(wal, true);
  assert.equal(records.length, before);
});

test('that a segment is given shorter than it is stored is told, and only then', async () => {
  const wal = filledTo(48);
  wal.add(tablespace(16_500, PATH));
  const place = { start: START, name: '0' };
  const next = wal.segment(1) as Buffer;
  const emptied = async (behind: Buffer[]): Promise<number | undefined> => {
    const keeper = new InsideCopy();
    const ways = { before: async () => [], behind: async () => behind };
    await keeper.keep(wal.segment(0) as Buffer, place, ways);
    return keeper.emptiedFrom;
  };
  assert.equal(await emptied([]), SEGMENT_BYTES - 48);
  assert.equal(await emptied([next]), undefined);
});

test('a record that was given up in a crash does not hide the one behind it', async () => {
  const wal = new Wal();
  wal.add(recordOf(10, Buffer.alloc(PAGE_BYTES * 2, 7)));
  // The page behind the first begins anew, as the server marks it (XLP_FIRST_IS_OVERWRITE_CONTRECORD).
  wal.at = PAGE_BYTES;
  wal.bytes.fill(0, wal.at);
  wal.add(tablespace(16_500, PATH));
  wal.bytes.writeUInt16LE(8, PAGE_BYTES + 2);
  const segment = wal.segment(0) as Buffer;
  const none = { before: async () => [], behind: async () => [] };
  const made = await new InsideCopy().keep(segment, { start: START, name: '0' }, none);
  assert.deepEqual(
    made.map(({ location }) => location),
    [PATH],
  );
  assert.ok(!segment.includes(PATH));
});
