import { CancellationScope, isCancellation, patched, TemporalFailure, TimeoutFailure } from '@temporalio/workflow';
import { failure, findFailure } from '../model/failure.ts';
import type { Journal } from './journal.ts';
import { whenLonger } from './patience.ts';

type Undo = () => Promise<unknown>;

/** What an undo may answer: it has taken back everything but this, which people have to do. */
interface TakenBack {
  left?: string;
}

/** Removing takes moments; when it takes this long, nobody is there to do it. */
const UNDO_PATIENCE_MS = 5 * 60_000;

/** Compensations of a run; each is pushed before the step that it takes back. */
export class Compensations {
  readonly #stack: { what: string; undo: Undo }[] = [];

  push(what: string, undo: Undo): void {
    this.#stack.push({ what, undo });
  }

  /** Nothing is taken back from here on. */
  clear(): void {
    this.#stack.length = 0;
  }

  /** Newest first. One that fails is shown on the run and does not keep the others from running. */
  async unwind(journal: Journal): Promise<{ failed: number }> {
    let failed = 0;
    for (const { what, undo } of this.#stack.splice(0).reverse()) {
      journal.step(what);
      const notYet = `not done yet: ${what}; is the worker of that host running? lifeboat status`;
      const then = (): void => journal.attention(notYet);
      try {
        const done = await whenLonger(undo, { afterMs: UNDO_PATIENCE_MS, summary: `patience: ${what}`, then });
        if (journal.progress.attention === notYet) journal.attention(undefined);
        const { left } = (done ?? {}) as TakenBack;
        if (left === undefined) continue;
        failed += 1;
        journal.attention(`somebody must ${left}`);
      } catch (error) {
        failed += 1;
        journal.attention(`somebody must ${what}: ${messageOf(error)}`);
      }
    }
    return { failed };
  }
}

/** What happens when the steps fail; a cancellation is not a failure. */
export interface OnFailure {
  /** At once: people hear of it before anything is taken back, which may take long. */
  tell(error: unknown): void;
  /** When everything is taken back. */
  finish?(error: unknown): Promise<void>;
  /** A cancellation is finished like a failure: what it took back had been in people's way. */
  finishesCancelled?: true;
}

/** Runs of before this ended a cancellation without it, and are replayed so. */
const CANCELLED_IS_FINISHED = 'a cancellation is finished like a failure';

/**
 * Runs the steps of a workflow. Whatever way they end, what they left half done is taken back, which a cancellation does
 * not interrupt, and the journal says how it went.
 */
export async function conclude<T>(
  journal: Journal,
  steps: (undo: Compensations) => Promise<T>,
  onFailure?: OnFailure,
): Promise<T> {
  const undo = new Compensations();
  try {
    const result = await steps(undo);
    await closeBy(journal, 'done');
    journal.end('done', 'done');
    return result;
  } catch (thrown) {
    const error = failureOf(thrown);
    await CancellationScope.nonCancellable(async () => {
      const cancelled = isCancellation(error);
      journal.note(cancelled ? 'cancelled: cleaning up' : `failed: ${messageOf(error)}`);
      if (!cancelled) onFailure?.tell(error);
      await undo.unwind(journal);
      if (!cancelled || isFinished(onFailure)) await onFailure?.finish?.(error);
      await closeBy(journal, cancelled ? 'cancelled' : 'failed');
      endBy(journal, error);
    });
    throw error;
  }
}

function isFinished(onFailure: OnFailure | undefined): boolean {
  return onFailure?.finishesCancelled === true && patched(CANCELLED_IS_FINISHED);
}

/** Before the run says that it has ended: what is left to tell, and to whom. It fails no run. */
export async function closeBy(journal: Journal, outcome: 'done' | 'failed' | 'cancelled'): Promise<void> {
  try {
    await CancellationScope.nonCancellable(async () => journal.closing?.(outcome));
  } catch (error) {
    journal.note(`what is left to tell is not told: ${messageOf(error)}`);
  }
}

/** Writes into the journal how an error ended the run. */
export function endBy(journal: Journal, error: unknown): void {
  if (isCancellation(error)) journal.end('cancelled', 'cancelled');
  else journal.end('failed', messageOf(error));
}

/** Temporal repeats a task that throws anything else for ever; somebody waits for this run. */
function failureOf(thrown: unknown): Error {
  if (thrown instanceof TemporalFailure) return thrown;
  return failure('Bug', messageOf(thrown), { cause: thrown, hint: 'report it with the history of this run' });
}

/** What the innermost failure of ours says; else the innermost error: those around it only say that something failed. */
export function messageOf(error: unknown): string {
  const ours = findFailure(error);
  if (ours) return ours.message;
  let message = String(error);
  for (let at = error; at instanceof Error; at = at.cause) message = isUnclaimed(at) ? UNCLAIMED : at.message;
  return message;
}

const UNCLAIMED = 'no worker of its host has taken it: is one running there? lifeboat status';

function isUnclaimed(error: Error): boolean {
  return error instanceof TimeoutFailure && error.timeoutType === 'SCHEDULE_TO_START';
}
