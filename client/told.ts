import type { RunProgress } from '../workflows/messages.ts';
import { failure } from '../workflows/model/failure.ts';
import { hostQueue, TASK_QUEUE } from '../workflows/model/names.ts';
import type { Output } from './output.ts';
import type { RunState } from './watch.ts';
import { viewOf } from './watch.ts';

/** A worker that is there takes a task within milliseconds. */
const NO_WORKER_AFTER_MS = 3000;
/** A question is not worth waiting for a worker. */
const QUESTION_UNTAKEN_MS = 15_000;

export interface Look {
  workflowId: string;
  state: RunState;
  progress: RunProgress | undefined;
  atMs: number;
}

/** Tells what is new at each look at a run, and nothing twice. */
export class Told {
  readonly #out: Output;
  readonly #use: { address: string; isQuestion: boolean };
  #last: RunProgress['timeline'][number] | undefined;
  #attention: string | undefined;
  #idleSinceMs: number | undefined;
  #saidIdle = false;

  constructor(out: Output, use: { address: string; isQuestion: boolean }) {
    this.#out = out;
    this.#use = use;
  }

  /** Unavailable when this is a question that no worker takes. */
  tell({ workflowId, state, progress, atMs }: Look): void {
    const { isQuestion } = this.#use;
    this.#tellWorker(state, atMs);
    if (progress && !isQuestion) this.#tellProgress(progress);
    if (state.waitsForQueue !== undefined) return;
    const view = viewOf(isQuestion ? 'asking a worker' : workflowId, state, progress);
    // The run's own timeline names the steps already.
    const isToldAlready = progress !== undefined && view.doneBytes === undefined && view.note === undefined;
    this.#out.progress(view, { isBrief: isQuestion || isToldAlready });
  }

  #tellProgress({ timeline, attention }: RunProgress): void {
    // Long-lived runs drop their oldest entries, so a count of those that were told would not do.
    const before = timeline.findLastIndex(({ at, what }) => at === this.#last?.at && what === this.#last.what);
    const fresh = timeline.slice(before + 1);
    for (const entry of fresh) this.#out.remark(`${entry.at.slice(11, 19)}  ${entry.what}`);
    this.#last = timeline.at(-1);
    const isNew = attention !== undefined && attention !== this.#attention;
    if (isNew && !fresh.some(({ what }) => what.includes(attention))) this.#out.remark(`attention: ${attention}`);
    this.#attention = attention;
  }

  #tellWorker({ waitsForQueue: queue }: RunState, atMs: number): void {
    if (queue === undefined) {
      if (this.#saidIdle) this.#out.remark('a worker took it');
      this.#idleSinceMs = undefined;
      this.#saidIdle = false;
      return;
    }
    this.#idleSinceMs ??= atMs;
    const { address, isQuestion } = this.#use;
    if (isQuestion && atMs - this.#idleSinceMs >= QUESTION_UNTAKEN_MS) throw untaken(queue, address);
    if (this.#saidIdle || atMs - this.#idleSinceMs < NO_WORKER_AFTER_MS) return;
    this.#saidIdle = true;
    this.#out.remark(`no worker takes tasks from queue ${queue} at ${address}: the run waits`);
    this.#out.remark(`  next: ${workerCommand(queue)}`);
  }
}

function untaken(queue: string, address: string): Error {
  return failure('Unavailable', `no worker takes tasks from queue ${queue}`, {
    place: `queue ${queue} at ${address}`,
    expected: 'a worker',
    found: 'none',
    hint: workerCommand(queue),
  });
}

/** What starts a worker that takes tasks from a queue. */
export function workerCommand(queue: string): string {
  const prefix = hostQueue('');
  return queue === TASK_QUEUE
    ? 'lifeboat worker'
    : `on that host: lifeboat worker --name ${queue.slice(prefix.length)}`;
}
