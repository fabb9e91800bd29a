import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { begin } from './lib/begin.ts';
import type { Begun } from './lib/begin.ts';
import { messageOf } from './lib/conclude.ts';
import { refreshSignal } from './messages.ts';
import { isFailure } from './model/failure.ts';
import type { WalOrder } from './model/orders.ts';
import { bulk } from './options.ts';

const PAUSE = '1m';

/**
 * Streams the WAL of a source until it is cancelled. It never ends by itself: a stream that has stopped and says nothing
 * is how a last copy is lost. Input: {"source":"shop"}.
 */
export async function wal(given: WalOrder): Promise<void> {
  const begun = await begin<WalOrder>('wal', given, { 'source!': 'text' });
  const { order, journal } = begun;
  const stream = new Stream(begun);
  setHandler(refreshSignal, () => stream.refresh());
  try {
    while (!workflowInfo().continueAsNewSuggested) await stream.once();
  } catch (error) {
    journal.end(isCancellation(error) ? 'cancelled' : 'failed', isCancellation(error) ? 'cancelled' : messageOf(error));
    throw error;
  }
  await continueAsNew<typeof wal>(order);
}

class Stream {
  readonly #begun: Begun<WalOrder>;
  #scope: CancellationScope | undefined;
  #refreshed = false;
  #acceptGap = false;

  constructor(begun: Begun<WalOrder>) {
    this.#begun = begun;
  }

  /** Ends the present attempt cleanly; the next one sees the configuration of now. */
  refresh(): void {
    this.#refreshed = true;
    this.#scope?.cancel();
  }

  /** One attempt, to its end; throws only when the run itself is cancelled. */
  async once(): Promise<void> {
    const { order, journal, facts } = this.#begun;
    this.#refreshed = false;
    journal.step('stream');
    const scope = new CancellationScope();
    this.#scope = scope;
    try {
      await scope.run(() =>
        bulk({ summary: `stream the WAL of ${facts.place}` }).streamWal({
          source: order.source,
          acceptGap: this.#acceptGap,
        }),
      );
    } catch (error) {
      if (isCancellation(error) && this.#refreshed) return journal.note('refreshed');
      if (isCancellation(error)) throw error;
      await this.#explain(error);
    }
  }

  /** What cannot get better by itself is told to people; a hole is passed, so that what comes after it is kept. */
  async #explain(error: unknown): Promise<void> {
    const { order, journal, notices } = this.#begun;
    const { source } = order;
    const message = messageOf(error);
    const isHole = isFailure(error, 'Integrity') && !this.#acceptGap;
    this.#acceptGap = isHole;
    journal.attention(isHole ? `${message}; a new base is needed: lifeboat backup ${source}` : message);
    const title = isHole ? `hole in the WAL of ${source}` : `WAL of ${source} is not streamed`;
    notices.send({ severity: 'critical', title, body: message });
    if (!isHole) await condition(() => this.#refreshed, PAUSE);
  }
}
