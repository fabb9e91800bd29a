import { addAbortSignal } from 'node:stream';
import { failure, findFailure, isRetryable } from '../../workflows/model/failure.ts';
import { ownsMemory } from '../io/memory.ts';
import type { Run } from '../io/run.ts';
import type { StoreSession } from '../stores/store.ts';

const TRIES = 4;
/** Room for an object whose length nobody knows. */
const FIRST_BYTES = 64 * 1024;

/** How often an object that ends too early is read again: a proxy may cut a stream without an error. */
const READS = 3;

export interface ReadLimit {
  /** More than these are refused before they fill memory. */
  mostBytes: number;
  /** Length to expect: one buffer is made at once. */
  expectedBytes?: number;
  /** Cheap test whether the bytes reach their end; what they say is checked by the caller. */
  isWhole(bytes: Buffer): boolean;
}

export interface Reader {
  store: StoreSession;
  run: Run;
}

/**
 * A whole object in a buffer that is alone in its memory, so that it can be moved to a thread. NotFound when it is absent.
 * What still is not whole after a few reads is given as it is: it may have been stored so.
 */
export async function readObject(reader: Reader, key: string, limit: ReadLimit): Promise<Buffer> {
  for (let read = 1; ; read++) {
    const bytes = await readThrough(reader, key, limit);
    if (read === READS || limit.isWhole(bytes)) return bytes;
    reader.run.log.warn(`${key} came back short`, { read, bytes: bytes.length });
  }
}

/** A stream that breaks midway is read again from the start; one that is silent ends with the run's signal. */
async function readThrough({ store, run }: Reader, key: string, limit: ReadLimit): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const stream = addAbortSignal(run.signal, await store.get(key));
    try {
      return await collect(stream, key, limit);
    } catch (error) {
      run.signal.throwIfAborted();
      const known = findFailure(error);
      if (attempt < TRIES && (!known || isRetryable(known))) continue;
      throw known ?? failure('Unavailable', `store broke off while ${key} was read`, { place: key, cause: error });
    }
  }
}

async function collect(stream: AsyncIterable<Buffer>, key: string, limit: ReadLimit): Promise<Buffer> {
  let whole: Buffer = Buffer.allocUnsafeSlow(0);
  let used = 0;
  for await (const chunk of stream) {
    if (used + chunk.length > limit.mostBytes) throw tooLong(key, limit.mostBytes);
    const isAll = used === 0 && chunk.length === limit.expectedBytes && ownsMemory(chunk);
    if (isAll) whole = chunk;
    else if (used + chunk.length > whole.length) whole = grown(whole, roomFor(used + chunk.length, limit));
    used += isAll ? chunk.length : chunk.copy(whole, used);
  }
  return used === whole.length ? whole : trimmed(whole, used);
}

function roomFor(bytes: number, { expectedBytes = FIRST_BYTES }: ReadLimit): number {
  return Math.max(bytes, expectedBytes);
}

function grown(bytes: Buffer, neededBytes: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(neededBytes, bytes.length * 2));
  bytes.copy(larger);
  return larger;
}

function trimmed(bytes: Buffer, used: number): Buffer {
  const exact = Buffer.allocUnsafeSlow(used);
  bytes.copy(exact, 0, 0, used);
  return exact;
}

function tooLong(key: string, mostBytes: number): Error {
  return failure('Integrity', `${key} is longer than it can be`, {
    place: key,
    expected: `at most ${mostBytes} bytes`,
    found: 'more',
    hint: 'this copy is damaged or was changed; use another copy',
  });
}
