import { Worker } from 'node:worker_threads';
import { failure } from '../../../workflows/model/failure.ts';
import type { Answer, Job, Result } from './job.ts';

export interface Task {
  job: Job;
  /** The caller gives the bytes away: they may move to the thread without a copy. */
  transfer: boolean;
  signal: AbortSignal;
}

interface Waiting extends Task {
  resolve(result: Result): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  busy?: { id: number; waiting: Waiting };
}

/**
 * Threads that each do one job at a time; started when they are needed, in the order the jobs came. A job that is aborted
 * leaves the queue at once; when it is running, its thread finishes it for nobody.
 */
export class Threads {
  readonly #threads: Thread[] = [];
  readonly #queue: Waiting[] = [];
  readonly #size: number;
  readonly #module: URL;
  #nextId = 1;
  #closed = false;

  constructor(size: number, module: URL) {
    this.#size = size;
    this.#module = module;
  }

  /** Rejects with the job's own failure, Bug when its thread died, or the signal's reason. */
  run(task: Task): Promise<Result> {
    if (this.#closed) return Promise.reject(failure('Bug', 'codec threads were used after they were closed'));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const at = this.#queue.indexOf(waiting);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(task.signal.reason as Error);
      };
      const settle = (end: () => void): void => {
        task.signal.removeEventListener('abort', onAbort);
        end();
      };
      const waiting: Waiting = {
        ...task,
        resolve: (result) => settle(() => resolve(result)),
        reject: (error) => settle(() => reject(error)),
      };
      if (task.signal.aborted) return onAbort();
      task.signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  /** Ends every thread; jobs that are not done fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0)) waiting.reject(failure('Bug', 'codec threads were closed'));
    await Promise.all(this.#threads.splice(0).map((thread) => thread.worker.terminate()));
  }

  #dispatch(): void {
    for (;;) {
      const thread = this.#queue.length > 0 ? this.#freeThread() : undefined;
      const waiting = thread && this.#queue.shift();
      if (!thread || !waiting) return;
      this.#give(thread, waiting);
    }
  }

  #give(thread: Thread, waiting: Waiting): void {
    const id = this.#nextId++;
    try {
      const { bytes, moved } = forThread(waiting);
      thread.worker.ref();
      thread.worker.postMessage({ id, job: { ...waiting.job, bytes } }, moved);
      thread.busy = { id, waiting };
    } catch (error) {
      // Bytes that were given away before cannot be sent again.
      thread.worker.unref();
      waiting.reject(failure('Bug', `codec job cannot be sent: ${(error as Error).message}`, { cause: error }));
    }
  }

  #freeThread(): Thread | undefined {
    const free = this.#threads.find((thread) => thread.busy === undefined);
    if (free || this.#threads.length >= this.#size) return free;
    return this.#start();
  }

  #start(): Thread {
    const worker = new Worker(this.#module);
    const thread: Thread = { worker };
    worker.on('message', (answer: Answer) => this.#settle(thread, answer));
    worker.once('error', (error) => this.#lose(thread, error));
    worker.once('exit', (code) => this.#lose(thread, new Error(`it ended with ${code}`)));
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

/** Shared memory is read where it is; what the caller gave away moves, when it is alone in its memory; the rest is copied. */
function forThread({ job, transfer }: Waiting): { bytes: Uint8Array; moved: ArrayBuffer[] } {
  const { bytes } = job;
  const { buffer } = bytes;
  if (!(buffer instanceof ArrayBuffer)) return { bytes, moved: [] };
  if (transfer && buffer.byteLength === bytes.byteLength) return { bytes, moved: [buffer] };
  const copy = Uint8Array.from(bytes);
  return { bytes: copy, moved: [copy.buffer] };
}
