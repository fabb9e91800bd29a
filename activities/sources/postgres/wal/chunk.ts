import { copyIntoShared } from '../../../io/memory.ts';
import type { RecordWalker } from './records.ts';

/** Bytes of WAL that become one object: an aligned range of at most 16 MiB, as far as it is known. */
export interface Chunk {
  readonly start: bigint;
  readonly bytes: Buffer;
  filled: number;
  /** How much of it went out in pieces. */
  shipped: number;
  newestCommitMicros?: number;
  newestSincePieceMicros?: number;
}

export function newChunk(start: bigint, memory: Buffer): Chunk {
  return { start, bytes: memory, filled: 0, shipped: 0 };
}

/** Memory for a chunk that threads read without a copy; used again, it costs nothing to touch. */
export function chunkMemory(size: number): Buffer {
  return Buffer.from(new SharedArrayBuffer(size));
}

export function chunkEnd(chunk: Chunk): bigint {
  return chunk.start + BigInt(chunk.filled);
}

export function isFull(chunk: Chunk): boolean {
  return chunk.filled === chunk.bytes.length;
}

/** Appends what fits, and returns how much that was. */
export function fill(chunk: Chunk, bytes: Buffer, commits: RecordWalker): number {
  const taken = bytes.subarray(0, chunk.bytes.length - chunk.filled);
  copyIntoShared(taken, chunk.bytes, chunk.filled);
  commits.push(chunkEnd(chunk), taken);
  chunk.filled += taken.length;
  const micros = commits.take();
  if (micros !== undefined) {
    chunk.newestCommitMicros = Math.max(chunk.newestCommitMicros ?? 0, micros);
    chunk.newestSincePieceMicros = Math.max(chunk.newestSincePieceMicros ?? 0, micros);
  }
  return taken.length;
}
