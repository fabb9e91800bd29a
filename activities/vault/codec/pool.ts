import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { failure } from '../../../workflows/model/failure.ts';
import { threadModule } from '../../io/thread.ts';
import type { Answer, DecodeJob, EncodeJob, Encoded, Job } from './job.ts';

/** Compression, encryption and hashing away from the event loop. */
export interface CodecPool extends AsyncDisposable {
  /** With `transfer` the bytes move to the thread without a copy and are gone for the caller. */
  encode(job: Omit<EncodeJob, 'kind'>, options?: { transfer: boolean }): Promise<Encoded>;
  /** The stored bytes are transferred. */
  decode(job: Omit<DecodeJob, 'kind'>): Promise<Buffer>;
}

interface Waiting {
  job: Job;
  transfer: boolean;
  resolve(answer: Answer & { bytes: Uint8Array }): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  busy?: { id: number; waiting: Waiting };
}

export function createCodecPool(threads = Math.max(1, availableParallelism())): CodecPool {
  const pool = new Pool(threads);
  return {
    encode: async (job, options) => {
      const { bytes, sha256 = '' } = await pool.run({ ...job, kind: 'encode' }, options?.transfer ?? false);
      return { bytes: asBuffer(bytes), sha256 };
    },
    decode: async (job) => asBuffer((await pool.run({ ...job, kind: 'decode' }, true)).bytes),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

class Pool {
  readonly #threads: Thread[] = [];
  readonly #queue: Waiting[] = [];
  readonly #size: number;
  #nextId = 1;
  #closed = false;

  constructor(size: number) {
    this.#size = size;
  }

  run(job: Job, transfer: boolean): Promise<{ bytes: Uint8Array; sha256?: string }> {
    if (this.#closed) return Promise.reject(failure('Bug', 'codec pool was used after it was closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, transfer, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0)) waiting.reject(failure('Bug', 'codec pool was closed'));
    await Promise.all(this.#threads.splice(0).map((thread) => thread.worker.terminate()));
  }

  #dispatch(): void {
    for (;;) {
      const thread = this.#queue.length > 0 ? this.#freeThread() : undefined;
      const waiting = thread && this.#queue.shift();
      if (!thread || !waiting) return;
      const id = this.#nextId++;
      thread.busy = { id, waiting };
      const { buffer } = waiting.job.bytes;
      const alone = buffer instanceof ArrayBuffer && buffer.byteLength === waiting.job.bytes.byteLength;
      thread.worker.ref();
      thread.worker.postMessage({ id, job: waiting.job }, alone && waiting.transfer ? [buffer] : []);
    }
  }

  #freeThread(): Thread | undefined {
    const free = this.#threads.find((thread) => thread.busy === undefined);
    if (free || this.#threads.length >= this.#size) return free;
    return this.#start();
  }

  #start(): Thread {
    const worker = new Worker(threadModule('codec-thread', import.meta.url));
    const thread: Thread = { worker };
    worker.on('message', (answer: Answer) => this.#settle(thread, answer));
    worker.once('error', (error) => this.#lose(thread, error));
    worker.once('exit', (code) => this.#lose(thread, new Error(`codec thread ended with ${code}`)));
    this.#threads.push(thread);
    return thread;
  }

  #settle(thread: Thread, answer: Answer): void {
    const { busy } = thread;
    if (busy?.id !== answer.id) return;
    delete thread.busy;
    // An idle thread must not keep a process alive that has nothing else to do.
    thread.worker.unref();
    if ('error' in answer) {
      const { type, message, ...facts } = answer.error;
      busy.waiting.reject(failure(type, message, facts));
    } else {
      busy.waiting.resolve(answer);
    }
    this.#dispatch();
  }

  /** A thread that died fails its job and is replaced by the next one that is needed. */
  #lose(thread: Thread, error: Error): void {
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    thread.busy?.waiting.reject(failure('Bug', `codec thread died: ${error.message}`, { cause: error }));
    delete thread.busy;
    if (!this.#closed) this.#dispatch();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
