import { CancellationScope, condition, continueAsNew, isCancellation, patched } from '@temporalio/workflow';
import { setHandler, sleep, workflowInfo } from '@temporalio/workflow';
import { BaseOrders } from './lib/base-orders.ts';
import { describe } from './lib/begin.ts';
import { closeBy, endBy, messageOf } from './lib/conclude.ts';
import { Journal } from './lib/journal.ts';
import { Notices } from './lib/notices.ts';
import { whenLonger } from './lib/patience.ts';
import { endSurplus, isSurplus } from './lib/surplus-stream.ts';
import { nowMs } from './lib/time.ts';
import { besideOf, HOLE, STEADY_MS, Trouble } from './lib/trouble.ts';
import { failure } from './model/failure.ts';
import { newBaseSignal, refreshSignal } from './messages.ts';
import { checkOrder } from './model/order-check.ts';
import { hostQueue } from './model/names.ts';
import type { WalOrder } from './model/orders.ts';
import { workflowId } from './model/names.ts';
import type { SourceFacts } from './model/results.ts';
import type { WalHole } from './model/wal.ts';
import type { BaseStart } from './model/wal-hole.ts';
import { holeOf, isBaseStart, isBehind, isKnown, isOfAnother, isOtherCluster } from './model/wal-hole.ts';
import { endless } from './options.ts';

const PAUSE_MS = 60_000;
/** Holes one after the other that are passed at once; a server that drops WAL faster than we come back is other trouble. */
const MOST_HOLES_IN_A_ROW = 3;
/** Bases that were taken and did not close a hole, after which no more are ordered: one may have begun before it. */
const MOST_BASES = 3;
/** Of histories from before bases were counted, and before one of another cluster closed a hole. */
const BASES_ARE_COUNTED = 'bases-are-counted';
/** Of histories from before a base was given up that can never be taken. */
const BASES_ARE_GIVEN_UP = 'bases-are-given-up';

/** A hole that people were told of and that no base has closed yet. */
interface OpenHole {
  hole: WalHole;
  said: string;
  /** How many bases were taken since that did not close it. */
  bases?: number;
}

/**
 * Streams the WAL of a source until it is cancelled. It never ends by itself: a stream that has stopped and says nothing
 * is how a last copy is lost. Input: {"source":"shop"}. `carried` comes from the run that this one continues.
 */
export async function wal(given: WalOrder, carried?: OpenHole): Promise<void> {
  const order = checkOrder<WalOrder>('wal', given, { 'source!': 'text', stream: 'count' });
  const open = workflowInfo().continuedFromExecutionRunId === undefined ? undefined : carried;
  const journal = new Journal(order.source);
  let stream: Stream;
  try {
    const facts = await described(journal, open?.said);
    if (facts.dumps) throw noWal(facts);
    const { stream: number = 1 } = order;
    if (number > (facts.walStreams ?? 1)) refuseStream(number, facts);
    stream = new Stream(journal, { facts, open, number });
    setHandler(refreshSignal, () => stream.refresh());
    setHandler(newBaseSignal, (base) => stream.newBase(base));
    await stream.goOn();
    await stream.settle();
    if (stream.isOver) return await endSurplus(journal, { source: order.source, stream: number });
    // A new run would not know of a cancellation that came meanwhile.
    const scope = CancellationScope.current();
    if (scope.consideredCancelled) await scope.cancelRequested;
  } catch (error) {
    await closeBy(journal, isCancellation(error) ? 'cancelled' : 'failed');
    endBy(journal, error);
    throw error;
  }
  await continueAsNew<typeof wal>(order, ...(stream.open ? [stream.open] : []));
}

/** One that runs goes on when there are to be fewer, until it is refreshed: `lifeboat apply` does that. */
function refuseStream(number: number, { source, walStreams = 1 }: SourceFacts): void {
  if (workflowInfo().continuedFromExecutionRunId !== undefined) return;
  throw failure('ConfigInvalid', `source ${source} has no stream ${number}`, {
    place: 'wal.stream',
    expected: `1 to ${walStreams}, as wal.streams says`,
    found: String(number),
    hint: `lifeboat config explain sources.${source}.wal`,
  });
}

function noWal({ source, kind }: SourceFacts): Error {
  return failure('Unsupported', `source ${source} of kind ${kind} has no WAL to stream`, {
    ...{ place: `source ${source}`, expected: 'a source of kind postgres', found: kind },
    hint: `its moments are its dumps: lifeboat list ${source}`,
  });
}

/** A new run refuses what it does not know; one that has streamed for months waits until it is known again. */
async function described(journal: Journal, remains: string | undefined): Promise<SourceFacts> {
  journal.attention(remains);
  for (;;) {
    try {
      const facts = await describe(journal);
      journal.attention(remains);
      return facts;
    } catch (error) {
      if (isCancellation(error) || workflowInfo().continuedFromExecutionRunId === undefined) throw error;
      journal.attention(besideOf(messageOf(error), remains));
      await sleep(PAUSE_MS, { summary: 'pause before the source is looked up again' });
    }
  }
}

class Stream {
  readonly #journal: Journal;
  readonly #notices: Notices;
  readonly #trouble: Trouble;
  readonly #bases: BaseOrders;
  /** Of several streams of one source. */
  readonly #number: number;
  #facts: SourceFacts;
  #scope: CancellationScope | undefined;
  #refreshed = false;
  /** The configuration does not name it any more. */
  #isOver = false;
  #open: OpenHole | undefined;
  #holesInARow = 0;

  constructor(
    journal: Journal,
    { facts, open, number }: { facts: SourceFacts; open: OpenHole | undefined; number: number },
  ) {
    this.#journal = journal;
    this.#number = number;
    this.#facts = facts;
    this.#open = open;
    this.#notices = new Notices(facts, journal);
    this.#trouble = new Trouble(journal, this.#notices);
    this.#trouble.remains(open?.said);
    this.#bases = new BaseOrders(journal, (error) => this.#baseFailed(error));
    this.#orderBase();
  }

  get open(): OpenHole | undefined {
    return this.#open;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get #what(): string {
    const { source, walStreams = 1 } = this.#facts;
    return `WAL of ${source}${walStreams > 1 ? ` (stream ${this.#number} of ${walStreams})` : ''}`;
  }

  /** Ends the present attempt cleanly; the next one sees the configuration of now. */
  refresh(): void {
    this.#refreshed = true;
    this.#scope?.cancel();
  }

  /** A base behind the hole makes everything reachable again. What it is called with may come from anybody. */
  newBase(base: unknown = null): void {
    if (!this.#open) return;
    const { hole } = this.#open;
    if (base !== null && !isBaseStart(base)) {
      this.#journal.note('newBase: not understood; expected {"timeline":1,"startLsn":"0/0"}, or nothing');
    } else if (base !== null && !closes(base, hole)) {
      this.#journal.note(`a base from ${base.startLsn} on timeline ${base.timeline} begins before the hole's end`);
      this.#countBase(this.#open);
    } else {
      this.#open = undefined;
      this.#trouble.remains(undefined);
      this.#bases.end();
      this.#tellClosed(hole);
    }
  }

  #orderBase(): void {
    if (!this.#open || (this.#open.bases ?? 0) >= MOST_BASES) return;
    if (this.#facts.newBaseAfterHole) this.#bases.begin();
  }

  /** What keeps bases from closing a hole needs somebody to look; more bases would only fill the store. */
  #countBase(open: OpenHole): void {
    if (!this.#facts.newBaseAfterHole || !patched(BASES_ARE_COUNTED)) return;
    open.bases = (open.bases ?? 0) + 1;
    if (open.bases !== MOST_BASES) return;
    const { source } = this.#facts;
    const { timeline, to } = open.hole;
    const wanted = `${MOST_BASES} new bases, none begins behind ${to} on timeline ${timeline}`;
    const look = `See lifeboat list ${source} and which server they come from (lifeboat doctor ${source}), then lifeboat backup ${source}`;
    this.#giveUp(open, `${wanted}; no more are ordered. ${look}`);
  }

  /** The name stands for another cluster than it did: each base that is ordered would only fail again, and tell so. */
  #baseFailed(error: unknown): void {
    if (!this.#open || !isOtherCluster(error) || !patched(BASES_ARE_GIVEN_UP)) return;
    this.#open.bases = MOST_BASES;
    this.#giveUp(this.#open, `no more bases are ordered: ${messageOf(error)}`);
  }

  #giveUp(open: OpenHole, body: string): void {
    this.#bases.end();
    open.said = body;
    this.#trouble.remains(body);
    const title = `hole in the WAL of ${this.#facts.source} stays open`;
    this.#notices.send({ severity: 'critical', title, body, windows: true, about: HOLE });
  }

  /** The next run knows nothing of what this one told. */
  settle(): Promise<void> {
    return this.#notices.close('goes on');
  }

  /** Attempt after attempt, until it is over or its history is long. */
  async goOn(): Promise<void> {
    while (!workflowInfo().continueAsNewSuggested && !this.#isOver) await this.once();
  }

  /** One attempt, to its end; throws only when the run itself is cancelled. */
  async once(): Promise<void> {
    while (this.#refreshed) await this.#lookAgain();
    if (this.#isOver) return;
    const startedMs = nowMs();
    this.#scope = new CancellationScope();
    try {
      await this.#scope.run(() => this.#attempt());
    } catch (error) {
      if (isCancellation(error) && this.#refreshed) return;
      if (isCancellation(error)) throw error;
      await this.#explain(error, nowMs() - startedMs);
    }
  }

  async #attempt(): Promise<void> {
    const { source, place, walHosts } = this.#facts;
    const { walHost = walHosts?.[this.#number - 1] } = this.#facts;
    this.#journal.step('stream');
    const acts = endless({
      summary: `${this.#facts.walHost === undefined ? 'stream' : 'take'} the WAL of ${place}`,
      ...(walHost === undefined ? {} : { taskQueue: hostQueue(walHost) }),
    });
    const which = this.#number === 1 ? {} : { stream: this.#number };
    const passing = this.#open ? { passHole: this.#open.hole } : {};
    const work = (): Promise<void> => acts.streamWal({ source, ...which, ...passing });
    if (!this.#trouble.isShown) return work();
    const then = (): void => this.#trouble.over(`${this.#what} is streamed again`);
    await whenLonger(work, { afterMs: STEADY_MS, summary: 'until the stream counts as steady', then });
  }

  async #lookAgain(): Promise<void> {
    this.#refreshed = false;
    this.#journal.note('refreshed');
    this.#facts = await describe(this.#journal).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      this.#journal.note(messageOf(error));
      return this.#facts;
    });
    this.#notices.facts = this.#facts;
    this.#isOver = isSurplus(this.#number, this.#facts);
    if (this.#isOver) this.#bases.end();
    else this.#orderBase();
  }

  /** A hole is passed, so that what comes after it is kept; anything else is tried again after a pause. */
  async #explain(error: unknown, ranMs: number): Promise<void> {
    const message = messageOf(error);
    const hole = holeOf(error);
    if (hole && !isKnown(hole, this.#open?.hole)) {
      this.#holesInARow = ranMs >= STEADY_MS ? 1 : this.#holesInARow + 1;
      this.#tellHole(hole, message);
      if (this.#holesInARow <= MOST_HOLES_IN_A_ROW) return;
    } else {
      this.#holesInARow = 0;
    }
    const title = `${this.#what} is not streamed`;
    const pauseMs = this.#trouble.failed(error, { ranMs, title, message });
    await condition(() => this.#refreshed, pauseMs, { summary: 'pause before the next attempt' });
  }

  #tellHole(hole: WalHole, message: string): void {
    const { source, newBaseAfterHole } = this.#facts;
    const order = newBaseAfterHole ? `it is ordered, ${workflowId.backup(source)}` : `lifeboat backup ${source}`;
    const said = `${message}; a new base is needed: ${order}`;
    this.#open = { hole, said };
    this.#trouble.remains(said);
    this.#orderBase();
    if (this.#holesInARow > MOST_HOLES_IN_A_ROW) return;
    const body = newBaseAfterHole ? said : message;
    const title = `hole in the WAL of ${source}`;
    this.#notices.send({ severity: 'critical', title, body, windows: true, about: HOLE });
  }

  #tellClosed({ from, to }: WalHole): void {
    const { source, newBaseAfterHole } = this.#facts;
    if (newBaseAfterHole === undefined) return;
    const title = `new base of ${source} behind the hole in its WAL`;
    const body = `The hole is from ${from} to ${to}.`;
    this.#notices.send({ severity: 'info', title, body, windows: true, about: HOLE, over: true });
  }
}

function closes(base: BaseStart, hole: WalHole): boolean {
  return isBehind(base, hole) && (!isOfAnother(base, hole) || patched(BASES_ARE_COUNTED));
}
