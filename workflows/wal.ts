import { CancellationScope, condition, continueAsNew, isCancellation, setHandler, sleep } from '@temporalio/workflow';
import { workflowInfo } from '@temporalio/workflow';
import { describe } from './lib/begin.ts';
import { endBy, messageOf } from './lib/conclude.ts';
import { Journal } from './lib/journal.ts';
import { Notices } from './lib/notices.ts';
import { whenLonger } from './lib/patience.ts';
import { nowMs } from './lib/time.ts';
import { STEADY_MS, Trouble } from './lib/trouble.ts';
import { newBaseSignal, refreshSignal } from './messages.ts';
import { findFailure } from './model/failure.ts';
import { checkOrder } from './model/order-check.ts';
import type { WalOrder } from './model/orders.ts';
import type { SourceFacts } from './model/results.ts';
import type { HoleEvidence } from './model/wal.ts';
import { endless } from './options.ts';

const PAUSE_MS = 60_000;

/**
 * Streams the WAL of a source until it is cancelled. It never ends by itself: a stream that has stopped and says nothing
 * is how a last copy is lost. Input: {"source":"shop"}.
 */
export async function wal(given: WalOrder): Promise<void> {
  const order = checkOrder<WalOrder>('wal', given, { 'source!': 'text' });
  const journal = new Journal(order.source);
  try {
    const stream = new Stream(journal, await described(journal));
    setHandler(refreshSignal, () => stream.refresh());
    setHandler(newBaseSignal, () => stream.newBase());
    while (!workflowInfo().continueAsNewSuggested) await stream.once();
    await stream.settle();
    // A new run would not know of a cancellation that came meanwhile.
    const scope = CancellationScope.current();
    if (scope.consideredCancelled) await scope.cancelRequested;
  } catch (error) {
    endBy(journal, error);
    throw error;
  }
  await continueAsNew<typeof wal>(order);
}

/** A new run refuses what it does not know; one that has streamed for months waits until it is known again. */
async function described(journal: Journal): Promise<SourceFacts> {
  for (;;) {
    try {
      const facts = await describe(journal);
      journal.attention(undefined);
      return facts;
    } catch (error) {
      if (isCancellation(error) || workflowInfo().continuedFromExecutionRunId === undefined) throw error;
      journal.attention(messageOf(error));
      await sleep(PAUSE_MS, { summary: 'pause before the source is looked up again' });
    }
  }
}

/** Only WAL that the server no longer has may be passed over; other damage is for people. */
function isHole(error: unknown): boolean {
  return (findFailure(error)?.details?.[1] as Partial<HoleEvidence> | undefined)?.hole !== undefined;
}

class Stream {
  readonly #journal: Journal;
  readonly #notices: Notices;
  readonly #trouble: Trouble;
  #facts: SourceFacts;
  #scope: CancellationScope | undefined;
  #refreshed = false;
  /** What was said of a hole that no base has closed yet. */
  #hole: string | undefined;
  #acceptGap = false;

  constructor(journal: Journal, facts: SourceFacts) {
    this.#journal = journal;
    this.#facts = facts;
    this.#notices = new Notices(facts, journal);
    this.#trouble = new Trouble(journal, this.#notices);
  }

  /** Ends the present attempt cleanly; the next one sees the configuration of now. */
  refresh(): void {
    this.#refreshed = true;
    this.#scope?.cancel();
  }

  /** A base behind the hole makes everything reachable again. */
  newBase(): void {
    if (this.#hole === undefined) return;
    if (this.#journal.progress.attention === this.#hole) this.#journal.attention(undefined);
    this.#hole = undefined;
  }

  settle(): Promise<void> {
    return this.#notices.settle();
  }

  /** One attempt, to its end; throws only when the run itself is cancelled. */
  async once(): Promise<void> {
    const startedMs = nowMs();
    this.#refreshed = false;
    this.#scope = new CancellationScope();
    try {
      await this.#scope.run(() => this.#attempt());
    } catch (error) {
      if (isCancellation(error) && this.#refreshed) return this.#lookAgain();
      if (isCancellation(error)) throw error;
      await this.#explain(error, nowMs() - startedMs);
    }
  }

  async #attempt(): Promise<void> {
    const { source, place } = this.#facts;
    this.#journal.step('stream');
    const acts = endless({ summary: `stream the WAL of ${place}` });
    const work = (): Promise<void> => acts.streamWal({ source, acceptGap: this.#acceptGap });
    if (!this.#trouble.isShown && !this.#acceptGap) return work();
    const then = (): void => this.#steady();
    await whenLonger(work, { afterMs: STEADY_MS, summary: 'until the stream counts as steady', then });
  }

  #steady(): void {
    this.#acceptGap = false;
    this.#trouble.over(`WAL of ${this.#facts.source} is streamed again`, this.#hole);
  }

  async #lookAgain(): Promise<void> {
    this.#journal.note('refreshed');
    this.#facts = await describe(this.#journal).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      this.#journal.note(messageOf(error));
      return this.#facts;
    });
    this.#notices.facts = this.#facts;
  }

  /** A hole is passed, so that what comes after it is kept; anything else is tried again after a pause. */
  async #explain(error: unknown, ranMs: number): Promise<void> {
    const { source } = this.#facts;
    const message = messageOf(error);
    if (isHole(error) && !this.#acceptGap) {
      this.#acceptGap = true;
      this.#hole = `${message}; a new base is needed: lifeboat backup ${source}`;
      this.#journal.attention(this.#hole);
      this.#notices.send({ severity: 'critical', title: `hole in the WAL of ${source}`, body: message });
      return;
    }
    const title = `WAL of ${source} is not streamed`;
    const pauseMs = this.#trouble.failed(error, { ranMs, title, message });
    await condition(() => this.#refreshed, pauseMs, { summary: 'pause before the next attempt' });
  }
}
