import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { findFailure } from '../model/failure.ts';
import type { Journal } from './journal.ts';

type Undo = () => Promise<unknown>;

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

  /** Newest first. One that fails is noted and does not keep the others from running. */
  async unwind(journal: Journal): Promise<{ failed: number }> {
    let failed = 0;
    for (const { what, undo } of this.#stack.splice(0).reverse()) {
      journal.step(what);
      try {
        await undo();
      } catch (error) {
        failed += 1;
        journal.note(`${what}: ${messageOf(error)}`);
      }
    }
    return { failed };
  }
}

/**
 * Runs the steps of a workflow. Whatever way they end, what they left half done is taken back, which a cancellation does
 * not interrupt, and the journal says how it went.
 */
export async function conclude<T>(
  journal: Journal,
  steps: (undo: Compensations) => Promise<T>,
  onFailure?: (error: unknown) => Promise<void>,
): Promise<T> {
  const undo = new Compensations();
  try {
    const result = await steps(undo);
    journal.end('done', 'done');
    return result;
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      const cancelled = isCancellation(error);
      journal.note(cancelled ? 'cancelled: cleaning up' : `failed: ${messageOf(error)}`);
      await undo.unwind(journal);
      if (!cancelled) await onFailure?.(error);
      journal.end(cancelled ? 'cancelled' : 'failed', cancelled ? 'cancelled' : messageOf(error));
    });
    throw error;
  }
}

export function messageOf(error: unknown): string {
  return findFailure(error)?.message ?? (error instanceof Error ? error.message : String(error));
}
