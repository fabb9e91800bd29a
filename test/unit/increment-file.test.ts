import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { applyIncrement } from '../../activities/sources/postgres/recovery/increment-file.ts';
import type { BlockSizes } from '../../activities/sources/postgres/recovery/increment-file.ts';
import { failureFacts, isFailure } from '../../workflows/model/failure.ts';
import { withTempDir } from '../support/temp-dir.ts';

const SIZES: BlockSizes = { blockBytes: 512, segmentBlocks: 400 };
const MAGIC = 0xd3ae1f0d;

interface Change {
  truncation: number;
  blocks: Map<number, Buffer>;
}

/** As basebackup.c writes it: words, padding to whole blocks when there are any, blocks. */
function encode({ truncation, blocks }: Change, magic = MAGIC): Buffer {
  const numbers = [...blocks.keys()];
  const words = Buffer.from(new Uint32Array([magic, numbers.length, truncation, ...numbers]).buffer);
  const { blockBytes } = SIZES;
  const padding = numbers.length === 0 ? 0 : (blockBytes - (words.length % blockBytes)) % blockBytes;
  return Buffer.concat([words, Buffer.alloc(padding), ...blocks.values()]);
}

/** What the file has to be afterwards, block by block, said in the words of the manual rather than of the code. */
function expected(older: Buffer, { truncation: stated, blocks }: Change): Buffer {
  const truncation = Math.min(stated, SIZES.segmentBlocks);
  const length = Math.max(truncation, ...[...blocks.keys()].map((block) => block + 1));
  return Buffer.concat(
    Array.from({ length }, (_, block) => {
      const kept = block < truncation ? older.subarray(block * 512, (block + 1) * 512) : Buffer.alloc(0);
      return blocks.get(block) ?? Buffer.concat([kept, Buffer.alloc(512 - kept.length)]);
    }),
  );
}

async function applied(dir: string, older: Buffer, bytes: Buffer): Promise<Buffer> {
  const target = join(dir, 'target');
  await writeFile(target, older);
  const read = (at: number, count: number): Buffer => bytes.subarray(at, at + count);
  // Twice: a repeat of what was done has the same result.
  for (let times = 0; times < 2; times++) applyIncrement({ path: 'x', bytes: bytes.length, read }, target, SIZES);
  return readFile(target);
}

const block = (): Buffer => randomBytes(512);

const EDGES: [string, number, number, number[]][] = [
  ['nothing changed', 5, 5, []],
  ['cut to nothing', 5, 0, []],
  ['cut, and nothing else', 9, 4, []],
  ['cut in front of a changed block', 9, 4, [2, 7]],
  ['cut and grown again, with a hole of zeros', 9, 3, [8, 11]],
  ['grown without a changed block: zeros', 3, 9, []],
  ['grown by changed blocks alone', 0, 0, [0, 1, 2]],
  ['a hole inside of what is kept', 6, 6, [0, 5]],
  ['a length beyond the segment counts as the whole segment', 400, 401, [3]],
  ['every block of a segment', 400, 400, Array.from({ length: 400 }, (_, at) => at)],
];

for (const [name, blocksBefore, truncation, numbers] of EDGES) {
  test(`changed blocks: ${name}`, async () => {
    await withTempDir(async (dir) => {
      const older = randomBytes(blocksBefore * 512);
      const change = { truncation, blocks: new Map(numbers.map((number) => [number, block()])) };
      assert.ok((await applied(dir, older, encode(change))).equals(expected(older, change)));
    });
  });
}

test('changed blocks: generated files', async () => {
  await withTempDir(async (dir) => {
    for (let round = 0; round < 200; round++) {
      const older = randomBytes(randomInt(40) * 512);
      const numbers = Array.from({ length: 60 }, (_, at) => at).filter(() => randomInt(4) === 0);
      const change = { truncation: randomInt(50), blocks: new Map(numbers.map((number) => [number, block()])) };
      assert.ok((await applied(dir, older, encode(change))).equals(expected(older, change)), JSON.stringify(numbers));
    }
  });
});

const one = (numbers: number[], truncation = 5): Buffer =>
  encode({ truncation, blocks: new Map(numbers.map((number) => [number, block()])) });

const DAMAGED: [string, Buffer, RegExp][] = [
  ['no header', Buffer.alloc(11), /a header/],
  ['another magic', encode({ truncation: 1, blocks: new Map() }, 1), /magic d3ae1f0d/],
  ['a block that is cut', one([1]).subarray(0, -1), /1024 bytes for 1 blocks/],
  ['more than its blocks', Buffer.concat([one([1]), Buffer.alloc(1)]), /1024 bytes for 1 blocks/],
  ['blocks out of order', one([3, 2]), /in order behind 3/],
  ['a block beyond a segment', one([400]), /below 400/],
  ['more blocks than a segment has', one(Array.from({ length: 401 }, (_, at) => at)), /at most 400/],
];

for (const [name, bytes, wants] of DAMAGED) {
  test(`changed blocks are refused: ${name}`, async () => {
    await withTempDir(async (dir) => {
      const older = randomBytes(512 * 5);
      await assert.rejects(
        applied(dir, older, bytes),
        (error) => isFailure(error, 'Integrity') && wants.test(failureFacts(error).expected ?? ''),
      );
      assert.ok((await readFile(join(dir, 'target'))).equals(older), 'the older file was touched');
    });
  });
}

test('changed blocks are refused: nothing stands where they belong', async () => {
  await withTempDir(async (dir) => {
    const bytes = one([1]);
    const read = (at: number, count: number): Buffer => bytes.subarray(at, at + count);
    const apply = (): void => applyIncrement({ path: 'x', bytes: bytes.length, read }, join(dir, 'absent'), SIZES);
    assert.throws(apply, (error) => isFailure(error, 'Integrity'));
  });
});
