import { availableParallelism } from 'node:os';
import { threadModule } from '../../io/thread.ts';
import type { DecodeJob, EncodeJob, Encoded } from './job.ts';
import { Threads } from './threads.ts';

/** Compression, encryption and hashing away from the event loop. */
export interface CodecPool extends AsyncDisposable {
  /** With `transfer` the bytes move to the thread without a copy and are gone for the caller. */
  encode(job: Omit<EncodeJob, 'kind'>, options?: { transfer: boolean }): Promise<Encoded>;
  /** The stored bytes are transferred. */
  decode(job: Omit<DecodeJob, 'kind'>): Promise<Buffer>;
}

let shared: { threads: Threads; users: number } | undefined;

/**
 * A share of the process's threads, one for each processor however many vaults are open, so that memory does not grow with
 * them. The last user to leave ends them. Jobs end with `signal`.
 */
export function joinCodecPool(signal: AbortSignal): CodecPool {
  const mine = (shared ??= { threads: newThreads(), users: 0 });
  mine.users += 1;
  return poolOn(mine.threads, signal, async () => {
    mine.users -= 1;
    if (mine.users > 0) return;
    if (shared === mine) shared = undefined;
    await mine.threads.close();
  });
}

function newThreads(): Threads {
  return new Threads(availableParallelism(), threadModule('codec-thread', import.meta.url));
}

function poolOn(threads: Threads, signal: AbortSignal, leave: () => Promise<void>): CodecPool {
  let left: Promise<void> | undefined;
  return {
    encode: async (job, options) => {
      const task = { job: { ...job, kind: 'encode' as const }, transfer: options?.transfer ?? false, signal };
      const { bytes, sha256 = '' } = await threads.run(task);
      return { bytes: asBuffer(bytes), sha256 };
    },
    decode: async (job) => {
      const task = { job: { ...job, kind: 'decode' as const }, transfer: true, signal };
      return asBuffer((await threads.run(task)).bytes);
    },
    [Symbol.asyncDispose]: () => (left ??= leave()),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
