import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { failure } from '../../../../workflows/model/failure.ts';
import { writeAll } from '../../../io/direct-write.ts';

/** How the cluster was built (SHOW block_size, SHOW segment_size). */
export interface BlockSizes {
  blockBytes: number;
  /** Blocks that a file of a relation may have. */
  segmentBlocks: number;
}

/** A file of changed blocks; `read` gives exactly the bytes it is asked for. */
export interface IncrementFile {
  /** For messages. */
  path: string;
  bytes: number;
  read(at: number, bytes: number): Uint8Array;
}

interface Header {
  /** Where each block belongs, in the order they stand in the file. */
  blocks: Uint32Array;
  /** Blocks from here on that the file does not bring are not those of the older file: they are zeros, or behind its end. */
  truncationBlocks: number;
  headerBytes: number;
}

const MAGIC = 0xd3ae1f0d;
const WORD_BYTES = 4;
const FIXED_BYTES = 3 * WORD_BYTES;
/** Copied at once. */
const STEP_BYTES = 1 << 20;

/**
 * Brings an older file up to date, in place, with the file of blocks that changed since (docs/format.md "Increments"). A
 * repeat, also of one that was cut off, has the same result. Integrity when the header is none or the older file is absent.
 */
export function applyIncrement(increment: IncrementFile, target: string, sizes: BlockSizes): void {
  const header = readHeader(increment, sizes);
  const file = openTarget(increment, target);
  try {
    fitLength(file, header, sizes);
    for (const run of runsOf(header.blocks, Math.max(1, Math.floor(STEP_BYTES / sizes.blockBytes)))) {
      const bytes = increment.read(header.headerBytes + run.index * sizes.blockBytes, run.count * sizes.blockBytes);
      writeAll(file, bytes, run.block * sizes.blockBytes);
    }
  } finally {
    closeSync(file);
  }
}

/**
 * 32-bit words as the server's processor writes them: magic, number of blocks, truncation length, block numbers; padded to
 * whole blocks when there are any. Then the blocks.
 */
function readHeader(increment: IncrementFile, { blockBytes, segmentBlocks }: BlockSizes): Header {
  const words = (at: number, count: number): DataView => {
    const bytes = increment.read(at, count * WORD_BYTES);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  if (increment.bytes < FIXED_BYTES) throw wrong(increment, 'a header', `${increment.bytes} bytes`);
  const fixed = words(0, 3);
  const [magic, count, length] = [0, 4, 8].map((at) => fixed.getUint32(at, true)) as [number, number, number];
  if (magic !== MAGIC) throw wrong(increment, `magic ${MAGIC.toString(16)}`, magic.toString(16));
  if (count > segmentBlocks) throw wrong(increment, `at most ${segmentBlocks} blocks`, `${count}`);
  // Early minor versions of 17 and 18 state the length of the whole relation, which then was never shorter than this segment.
  const truncationBlocks = Math.min(length, segmentBlocks);
  const plain = FIXED_BYTES + count * WORD_BYTES;
  const headerBytes = count === 0 ? plain : Math.ceil(plain / blockBytes) * blockBytes;
  const expected = headerBytes + count * blockBytes;
  if (expected !== increment.bytes)
    throw wrong(increment, `${expected} bytes for ${count} blocks`, `${increment.bytes}`);
  const numbers = words(FIXED_BYTES, count);
  const blocks = Uint32Array.from({ length: count }, (_, index) => numbers.getUint32(index * WORD_BYTES, true));
  checkBlocks(increment, blocks, segmentBlocks);
  return { blocks, truncationBlocks, headerBytes };
}

function checkBlocks(increment: IncrementFile, blocks: Uint32Array, segmentBlocks: number): void {
  let last = -1;
  for (const block of blocks) {
    if (block <= last) throw wrong(increment, `blocks in order behind ${last}`, `block ${block}`);
    if (block >= segmentBlocks) throw wrong(increment, `blocks below ${segmentBlocks}`, `block ${block}`);
    last = block;
  }
}

/** What was cut off since must not come back: cut first, then lengthened by zeros. */
function fitLength(file: number, { blocks, truncationBlocks }: Header, { blockBytes }: BlockSizes): void {
  const blocksNow = Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1);
  if (fstatSync(file).size > truncationBlocks * blockBytes) ftruncateSync(file, truncationBlocks * blockBytes);
  ftruncateSync(file, blocksNow * blockBytes);
}

interface BlockRun {
  /** Of the first one, in the file of changed blocks. */
  index: number;
  /** Of the first one, in the older file. */
  block: number;
  count: number;
}

/** Neighbours are written together. */
function* runsOf(blocks: Uint32Array, most: number): Iterable<BlockRun> {
  for (let index = 0; index < blocks.length;) {
    const block = blocks[index] as number;
    let count = 1;
    while (count < most && blocks[index + count] === block + count) count++;
    yield { index, block, count };
    index += count;
  }
}

function openTarget(increment: IncrementFile, target: string): number {
  try {
    return openSync(target, constants.O_WRONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw wrong(increment, `the older file at ${target}`, 'nothing');
  }
}

function wrong({ path }: IncrementFile, expected: string, found: string): Error {
  return failure('Integrity', `${path} does not change what it should`, { place: path, expected, found });
}
