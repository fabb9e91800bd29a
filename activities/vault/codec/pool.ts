import { availableParallelism } from 'node:os';
import { ownsMemory } from '../../io/memory.ts';
import { threadModule } from '../../io/thread.ts';
import { Threads } from '../../io/threads.ts';
import type { PartQuestion } from '../../sources/part-sink.ts';
import { decode, encode } from './codec.ts';
import type { Brought, DecodeJob, EncodeJob, Encoded, FillJob, Job, Result } from './job.ts';

/** Compression, encryption and hashing away from the event loop. */
export interface CodecPool extends AsyncDisposable {
  /** With `transfer` the bytes move to the thread without a copy and are gone for the caller. */
  encode(job: Omit<EncodeJob, 'kind'>, options?: { transfer: boolean }): Promise<Encoded>;
  /** A thread brings the plaintext itself. */
  fill(job: Omit<FillJob, 'kind'>): Promise<Encoded & Brought>;
  /** A thread finds something out. */
  ask(question: PartQuestion): Promise<unknown>;
  /** The stored bytes are transferred. With `use` the plaintext is used up in the thread, and the answer is empty. */
  decode(job: Omit<DecodeJob, 'kind'>): Promise<Buffer>;
  /** The same; the answer is what was said of the plaintext. */
  use(job: Omit<DecodeJob, 'kind'> & Required<Pick<DecodeJob, 'use'>>): Promise<unknown>;
}

/**
 * Jobs that also read what they encode or write what they decoded stand still with the disk: WAL that is to be stored must not
 * wait for them, so there is a thread more than they may have.
 */
function startThreads(): Threads<Job, Result> {
  const processors = availableParallelism();
  return new Threads(processors + 1, threadModule('codec-thread', import.meta.url), processors);
}

/** What is as small is done in less time than a thread takes to begin, which somebody may wait for during an outage. */
const AT_ONCE_BYTES = 16 << 10;

let shared: { threads: Threads<Job, Result>; users: number } | undefined;

/**
 * A share of the process's threads, one for each processor and one to spare however many vaults are open, so that memory does
 * not grow with them. The last user to leave ends them. Jobs end with `signal`.
 */
export function joinCodecPool(signal: AbortSignal): CodecPool {
  const mine = (shared ??= { threads: startThreads(), users: 0 });
  mine.users += 1;
  return poolOn(mine.threads, signal, async () => {
    mine.users -= 1;
    if (mine.users > 0) return;
    if (shared === mine) shared = undefined;
    await mine.threads.close();
  });
}

function poolOn(threads: Threads<Job, Result>, signal: AbortSignal, leave: () => Promise<void>): CodecPool {
  let left: Promise<void> | undefined;
  const decodeThere = (job: Omit<DecodeJob, 'kind'>): Promise<Result> => {
    const given = forThread(job.bytes, true);
    const isEffect = job.use !== undefined;
    const task = { job: { ...job, kind: 'decode' as const, bytes: given.bytes }, moved: given.moved };
    return threads.run({ ...task, signal, isEffect, waits: isEffect });
  };
  return {
    encode: async (job, options) => {
      if (job.bytes.length <= AT_ONCE_BYTES) {
        signal.throwIfAborted();
        const { bytes, sha256 = '' } = encode({ ...job, kind: 'encode' });
        return { bytes: asBuffer(bytes), sha256 };
      }
      const given = forThread(job.bytes, options?.transfer ?? false);
      const { bytes, sha256 = '' } = await threads.run({
        job: { ...job, kind: 'encode', bytes: given.bytes },
        moved: given.moved,
        signal,
      });
      return { bytes: asBuffer(bytes), sha256 };
    },
    fill: async (job) => {
      const {
        bytes,
        sha256 = '',
        brought,
      } = await threads.run({ job: { ...job, kind: 'fill' }, moved: [], signal, waits: true });
      const { plainBytes = 0, said } = brought ?? {};
      return { bytes: asBuffer(bytes), sha256, plainBytes, said };
    },
    ask: async (question) => {
      const job = { kind: 'ask' as const, question };
      return (await threads.run({ job, moved: [], signal, waits: true })).brought?.said;
    },
    decode: async (job) => {
      if (job.use !== undefined || job.bytes.length > AT_ONCE_BYTES) return asBuffer((await decodeThere(job)).bytes);
      signal.throwIfAborted();
      // The memory of what is decoded is used again: it has to be its own.
      return decode({ ...job, kind: 'decode', bytes: Uint8Array.from(job.bytes) });
    },
    use: async (job) => (await decodeThere(job)).brought?.said,
    [Symbol.asyncDispose]: () => (left ??= leave()),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Shared memory is read where it is; what the caller gave away moves, when it is alone in its memory; the rest is copied. */
function forThread(bytes: Uint8Array, transfer: boolean): { bytes: Uint8Array; moved: ArrayBuffer[] } {
  if (!(bytes.buffer instanceof ArrayBuffer)) return { bytes, moved: [] };
  if (transfer && ownsMemory(bytes)) return { bytes, moved: [bytes.buffer] };
  const copy = Uint8Array.from(bytes);
  return { bytes: copy, moved: [copy.buffer] };
}
