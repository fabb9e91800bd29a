import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  columnNames,
  encodeMessage,
  MESSAGE,
  MessageReader,
  rowValues,
  ServerMessage,
} from '../../activities/io/postgres/wire.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';

const message = (type: number, body: Buffer): Buffer => encodeMessage(String.fromCharCode(type), body);

const STREAM = [
  { type: MESSAGE.copyBoth, body: Buffer.from([0, 0, 0]) },
  { type: MESSAGE.copyData, body: Buffer.from('first') },
  { type: MESSAGE.copyData, body: Buffer.alloc(300, 'x') },
  { type: MESSAGE.copyData, body: Buffer.alloc(0) },
  { type: MESSAGE.copyDone, body: Buffer.alloc(0) },
  { type: MESSAGE.readyForQuery, body: Buffer.from('I') },
];
const BYTES = Buffer.concat(STREAM.map(({ type, body }) => message(type, body)));

interface Seen {
  type: number;
  body: string;
}

function wholeReader(seen: Seen[]): MessageReader {
  return new MessageReader({
    message: (type, body) => void seen.push({ type, body: body.toString('latin1') }),
    copyPiece: () => assert.fail('no pieces unless streaming'),
  });
}

test('messages come out whole, wherever the stream is cut', () => {
  const expected = STREAM.map(({ type, body }) => ({ type, body: body.toString('latin1') }));
  for (let cut = 0; cut <= BYTES.length; cut++) {
    const seen: Seen[] = [];
    const reader = wholeReader(seen);
    // A reused read buffer: what was delivered must not change when the next bytes arrive.
    const shared = Buffer.alloc(BYTES.length);
    for (const part of [BYTES.subarray(0, cut), BYTES.subarray(cut)]) {
      part.copy(shared);
      assert.equal(reader.feed(shared.subarray(0, part.length)), undefined);
    }
    assert.deepEqual(seen, expected, `cut at ${cut}`);
  }
});

test('byte by byte gives the same', () => {
  const seen: Seen[] = [];
  const reader = wholeReader(seen);
  for (const byte of BYTES) void reader.feed(Buffer.from([byte]));
  assert.equal(seen.length, STREAM.length);
});

test('streaming delivers COPY data as it comes, and tells where messages start and end', () => {
  for (let cut = 1; cut < BYTES.length; cut++) {
    const copied: string[] = [];
    let open = '';
    const others: number[] = [];
    const reader = new MessageReader({
      message: (type, body) => void (type === MESSAGE.copyData ? copied.push(body.toString()) : others.push(type)),
      copyPiece: (piece, first, last) => {
        open = first ? piece.toString() : open + piece.toString();
        if (last) copied.push(open);
      },
    });
    reader.streaming = true;
    void reader.feed(BYTES.subarray(0, cut));
    void reader.feed(BYTES.subarray(cut));
    assert.deepEqual(copied, ['first', 'x'.repeat(300), ''], `cut at ${cut}`);
    assert.deepEqual(others, [MESSAGE.copyBoth, MESSAGE.copyDone, MESSAGE.readyForQuery]);
  }
});

test('nothing is delivered while a handler has not settled, and its bytes stay', async () => {
  const seen: string[] = [];
  const release: (() => void)[] = [];
  const reader = new MessageReader({
    message: (_type, body) => {
      const before = body.toString('latin1');
      return new Promise<void>((resolve) =>
        release.push(() => {
          assert.equal(body.toString('latin1'), before);
          seen.push(before);
          resolve();
        }),
      );
    },
    copyPiece: () => undefined,
  });
  let done = false;
  const fed = Promise.resolve(reader.feed(BYTES)).then(() => (done = true));
  for (let settled = 0; settled < STREAM.length; settled++) {
    assert.equal(release.length, settled + 1, 'one at a time');
    assert.equal(done, false);
    release[settled]?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await fed;
  assert.deepEqual(
    seen,
    STREAM.map(({ body }) => body.toString('latin1')),
  );
});

test('a handler that fails ends the feed with its error', async () => {
  const reader = new MessageReader({
    message: () => Promise.reject(new Error('sink is full')),
    copyPiece: () => undefined,
  });
  await assert.rejects(Promise.resolve(reader.feed(BYTES)), /sink is full/);
});

test('a length that cannot be is refused instead of waited for', () => {
  for (const length of [0, 3, 0x7fffffff]) {
    const header = Buffer.from([MESSAGE.dataRow, 0, 0, 0, 0]);
    header.writeUInt32BE(length, 1);
    assert.throws(
      () => wholeReader([]).feed(header),
      (error) => failureTypeOf(error) === 'Integrity',
    );
  }
});

test('rows and errors are read field by field', () => {
  const description = Buffer.concat([
    Buffer.from([0, 2]),
    ...['systemid', 'timeline'].map((name) => Buffer.concat([Buffer.from(`${name}\0`), Buffer.alloc(18)])),
  ]);
  assert.deepEqual(columnNames(description), ['systemid', 'timeline']);
  const row = Buffer.concat([
    Buffer.from([0, 3, 0, 0, 0, 2]),
    Buffer.from('42'),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
  ]);
  assert.deepEqual(rowValues(row), [Buffer.from('42'), null, Buffer.alloc(0)]);

  const error = new ServerMessage(
    Buffer.from('SFEHLER\0VFATAL\0C28000\0Mno entry\0DDetail\0HHint\0RClientAuthentication\0\0'),
  );
  const { severity, code, message: text, detail, hint, routine } = error;
  assert.deepEqual(
    { severity, code, text, detail, hint, routine },
    {
      ...{ severity: 'FATAL', code: '28000', text: 'no entry', detail: 'Detail', hint: 'Hint' },
      routine: 'ClientAuthentication',
    },
  );
});
