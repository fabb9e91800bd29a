import { Worker } from 'node:worker_threads';
import type { FailureFacts, FailureType } from '../../workflows/model/failure.ts';
import { failure } from '../../workflows/model/failure.ts';

export interface Task<Job> {
  /** Plain data: it is cloned, but for what moves. */
  job: Job;
  /** Memory that goes to the thread without a copy and is gone for the caller. */
  moved: ArrayBuffer[];
  signal: AbortSignal;
  /** Once begun it is waited for, aborted or not: what it does to the world must be over when the call is. */
  isEffect?: boolean;
  /** It stands still with a disk: a thread is kept free for those that do not. */
  waits?: boolean;
}

export interface Question<Job> {
  id: number;
  job: Job;
}

/** An error crosses a thread as data. */
export interface JobError extends FailureFacts {
  type: FailureType;
  message: string;
}

export type Answer<Result> = { id: number; result: Result } | { id: number; error: JobError };

interface Waiting<Job, Result> extends Task<Job> {
  resolve(result: Result): void;
  reject(error: Error): void;
}

interface Thread<Job, Result> {
  worker: Worker;
  busy?: { id: number; waiting: Waiting<Job, Result> };
}

/**
 * Threads that each do one job at a time; started when they are needed, in the order the jobs came. A job that is aborted
 * leaves the queue at once; when it is running, its thread finishes it for nobody, unless it is an effect. Of `size` threads
 * jobs that wait have all, or `mostWaiting`.
 */
export class Threads<Job, Result> implements AsyncDisposable {
  readonly #threads: Thread<Job, Result>[] = [];
  readonly #queue: Waiting<Job, Result>[] = [];
  readonly #size: number;
  readonly #mostWaiting: number;
  readonly #module: URL;
  #nextId = 1;
  #closed = false;

  constructor(size: number, module: URL, mostWaiting = size) {
    this.#size = size;
    this.#mostWaiting = mostWaiting;
    this.#module = module;
  }

  /** Rejects with the job's own failure, Bug when its thread died, or the signal's reason. */
  run(task: Task<Job>): Promise<Result> {
    if (this.#closed) return Promise.reject(failure('Bug', 'threads were used after they were closed'));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const at = this.#queue.indexOf(waiting);
        if (at >= 0) this.#queue.splice(at, 1);
        else if (task.isEffect) return;
        reject(task.signal.reason as Error);
      };
      const settle = (end: () => void): void => {
        task.signal.removeEventListener('abort', onAbort);
        end();
      };
      const waiting: Waiting<Job, Result> = {
        ...task,
        resolve: (result) => settle(() => resolve(result)),
        reject: (error) => settle(() => reject(error)),
      };
      // Nobody began it: there is nothing to wait for, whatever it would do.
      if (task.signal.aborted) return void reject(task.signal.reason as Error);
      task.signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  /** Ends every thread; jobs that are not done fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#queue.splice(0)) waiting.reject(failure('Bug', 'threads were closed'));
    await Promise.all(this.#threads.splice(0).map((thread) => thread.worker.terminate()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dispatch(): void {
    for (;;) {
      const next = this.#nextInQueue();
      const thread = next < 0 ? undefined : this.#freeThread();
      if (!thread) return;
      // To take the first one costs nothing, however many wait.
      const waiting = next === 0 ? this.#queue.shift() : this.#queue.splice(next, 1)[0];
      if (!waiting) return;
      this.#give(thread, waiting);
    }
  }

  #nextInQueue(): number {
    const held = this.#threads.filter(({ busy }) => busy?.waiting.waits).length;
    return this.#queue.findIndex(({ waits }) => !waits || held < this.#mostWaiting);
  }

  #give(thread: Thread<Job, Result>, waiting: Waiting<Job, Result>): void {
    const id = this.#nextId++;
    try {
      thread.worker.ref();
      thread.worker.postMessage({ id, job: waiting.job } satisfies Question<Job>, waiting.moved);
      thread.busy = { id, waiting };
    } catch (error) {
      // Bytes that were given away before cannot be sent again.
      thread.worker.unref();
      waiting.reject(failure('Bug', `job of a thread cannot be sent: ${(error as Error).message}`, { cause: error }));
    }
  }

  #freeThread(): Thread<Job, Result> | undefined {
    const free = this.#threads.find((thread) => thread.busy === undefined);
    if (free || this.#threads.length >= this.#size) return free;
    return this.#start();
  }

  #start(): Thread<Job, Result> {
    const worker = new Worker(this.#module);
    const thread: Thread<Job, Result> = { worker };
    worker.on('message', (answer: Answer<Result>) => this.#settle(thread, answer));
    worker.once('error', (error) => this.#lose(thread, error));
    worker.once('exit', (code) => this.#lose(thread, new Error(`it ended with ${code}`)));
    this.#threads.push(thread);
    return thread;
  }

  #settle(thread: Thread<Job, Result>, answer: Answer<Result>): void {
    const { busy } = thread;
    if (busy?.id !== answer.id) return;
    delete thread.busy;
    // An idle thread must not keep a process alive that has nothing else to do.
    thread.worker.unref();
    if ('error' in answer) {
      const { type, message, ...facts } = answer.error;
      busy.waiting.reject(failure(type, message, facts));
    } else {
      busy.waiting.resolve(answer.result);
    }
    this.#dispatch();
  }

  /** A thread that died fails its job and is replaced by the next one that is needed. */
  #lose(thread: Thread<Job, Result>, error: Error): void {
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    thread.busy?.waiting.reject(failure('Bug', `thread died: ${error.message}`, { cause: error }));
    delete thread.busy;
    if (!this.#closed) this.#dispatch();
  }
}

/** Does `work` with each item at once; the first failure ends those that have not begun, and is thrown when all are over. */
export async function runAll<Item>(
  items: readonly Item[],
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  let failed: { error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failed ??= { error };
    over.abort(error);
  };
  await Promise.all(items.map((item) => work(item, both).catch(fail)));
  if (failed) throw (failed as { error: unknown }).error;
}
