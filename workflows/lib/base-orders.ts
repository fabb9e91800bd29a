import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import { workflowId } from '../model/names.ts';
import type { BackupOrder } from '../model/orders.ts';
import { messageOf } from './conclude.ts';
import type { Journal } from './journal.ts';
import { startOnItsOwn } from './start-on-its-own.ts';

const SHORTEST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;

/**
 * Orders full backups, one after the other, until somebody says that it is enough. Each is a run of its own under the fixed
 * id, so that none begins while another runs: one that began too early fails by itself, and is followed by a new one.
 */
export class BaseOrders {
  readonly #journal: Journal;
  readonly #onFailure: (error: unknown) => void;
  #scope: CancellationScope | undefined;

  /** `onFailure` hears why a base that was ordered here was not taken. */
  constructor(journal: Journal, onFailure: (error: unknown) => void) {
    this.#journal = journal;
    this.#onFailure = onFailure;
  }

  /** A repeat changes nothing. */
  begin(): void {
    if (this.#scope) return;
    this.#scope = new CancellationScope();
    void this.#scope
      .run(() => this.#order())
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
  }

  /** The backup that runs goes on. */
  end(): void {
    this.#scope?.cancel();
    this.#scope = undefined;
  }

  async #order(): Promise<never> {
    const { source } = this.#journal.progress;
    for (let pauseMs = SHORTEST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      await this.#start(source);
      await sleep(pauseMs, { summary: 'until it is looked whether a new base is there' });
    }
  }

  async #start(source: string): Promise<void> {
    const id = workflowId.backup(source);
    const input: BackupOrder = { source, label: 'after a hole in the WAL' };
    try {
      const { ended } = await startOnItsOwn('backup', {
        id,
        input,
        summary: `backup ${source} after a hole in the WAL`,
      });
      ended.catch((error: unknown) => this.#onFailure(error));
      this.#journal.note(`ordered a new base: ${id}`);
    } catch (error) {
      if (isCancellation(error)) throw error;
      if (error instanceof WorkflowExecutionAlreadyStartedError) this.#journal.note(`${id} is running`);
      else this.#journal.note(`a new base could not be ordered: ${messageOf(error)}`);
    }
  }
}
