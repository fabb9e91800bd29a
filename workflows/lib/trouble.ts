import { ActivityFailure } from '@temporalio/workflow';
import type { Journal } from './journal.ts';
import type { Notices } from './notices.ts';
import { nowMs } from './time.ts';

const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** Pause behind what cannot get better by itself. */
const LASTING_PAUSE_MS = 60_000;
/** What is over within it is nobody's business. */
const PATIENCE_MS = 60_000;
/** What people are told of: each is one thing, and a hole may stay open while the stream works. */
export const HOLE = 'hole';
const STREAM = 'stream';
const REMIND_MS = 6 * 3_600_000;

/** An attempt that lasted so long has worked: nothing hangs in the dark for as long before it fails. */
export const STEADY_MS = 5 * 60_000;

/** A row of failed attempts: how long to pause, when to tell people, and when it is over. */
export class Trouble {
  readonly #journal: Journal;
  readonly #notices: Notices;
  #sinceMs: number | undefined;
  #failures = 0;
  #told: { title: string; atMs: number } | undefined;
  /** Why it does not work, once people were told. */
  #message: string | undefined;
  #remains: string | undefined;

  constructor(journal: Journal, notices: Notices) {
    this.#journal = journal;
    this.#notices = notices;
  }

  /** True from the moment people were told. */
  get isShown(): boolean {
    return this.#told !== undefined;
  }

  /** Records a failed attempt; returns the pause before the next one, milliseconds. */
  failed(error: unknown, { ranMs, title, message }: { ranMs: number; title: string; message: string }): number {
    if (ranMs >= STEADY_MS) this.#sinceMs = undefined;
    if (this.#sinceMs === undefined) this.#failures = 0;
    this.#sinceMs ??= nowMs();
    this.#failures += 1;
    this.#journal.note(`ended: ${message}`);
    const isLasting = isForGood(error);
    if (isLasting || nowMs() - this.#sinceMs >= PATIENCE_MS) this.tell(title, message);
    if (isLasting) return LASTING_PAUSE_MS;
    return Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** (this.#failures - 1));
  }

  /** What needs a person whether it works or not; undefined when nothing does any more. */
  remains(what: string | undefined): void {
    this.#remains = what;
    this.#show();
  }

  /** Shows it on the run; tells people when it is new, and again now and then. */
  tell(title: string, message: string): void {
    this.#message = message;
    this.#show();
    const isNew = this.#told?.title !== title || nowMs() - this.#told.atMs >= REMIND_MS;
    if (!isNew) return;
    this.#told = { title, atMs: nowMs() };
    this.#notices.send({ severity: 'critical', title, body: message, about: STREAM });
  }

  /** It works again. */
  over(title: string): void {
    this.#sinceMs = undefined;
    if (!this.isShown) return;
    this.#told = this.#message = undefined;
    this.#show();
    this.#notices.send({ severity: 'info', title, body: 'It goes on by itself.', about: STREAM, over: true });
  }

  #show(): void {
    this.#journal.attention(besideOf(this.#message, this.#remains));
  }
}

/** Why something does not work must not hide what needs a person all the same. */
export function besideOf(message: string | undefined, remains: string | undefined): string | undefined {
  if (message === undefined || remains === undefined) return message ?? remains;
  return remains.includes(message) ? remains : `${message}; ${remains}`;
}

/** True when the same call would fail again. */
function isForGood(error: unknown): boolean {
  return error instanceof ActivityFailure && error.retryState === 'NON_RETRYABLE_FAILURE';
}
