import { failure, isRetryable } from '../../../../../workflows/model/failure.ts';

/** What was refused once is refused again without an alarm for as long as this: the server tries it every minute. */
const REMIND_MS = 6 * 3_600_000;
/** An archiver that failed sleeps for a minute before it tries again. */
const FAILING_MS = 90_000;

/** What was refused at one socket. It outlives an attempt: one that ended to tell people is followed by another one. */
export class Refusals {
  readonly #toldMs = new Map<string, number>();
  #last: unknown;

  /** True when people must hear of it: it does not get better by itself, and is new. */
  refused(path: string, error: unknown, nowMs: number): boolean {
    this.#last = error;
    if (isRetryable(error)) return false;
    const toldMs = this.#toldMs.get(path);
    if (toldMs !== undefined && nowMs - toldMs < REMIND_MS) return false;
    this.#toldMs.set(path, nowMs);
    return true;
  }

  taken(path: string): void {
    this.#toldMs.delete(path);
    this.#last = undefined;
  }

  /** Why a server's archiver gets on with nothing. */
  why(): unknown {
    return (
      this.#last ??
      failure('Unavailable', 'the archiver of the server fails, and not because we refuse something', {
        expected: 'last_archived_time above last_failed_time',
        found: 'last_failed_time above it (pg_stat_archiver)',
        hint: "the server's log has what archive_command said",
      })
    );
  }
}

const bySocket = new Map<string, Refusals>();

export function refusalsAt(socket: string): Refusals {
  const known = bySocket.get(socket) ?? new Refusals();
  bySocket.set(socket, known);
  return known;
}

/** Since when a server has been seen to fail without a success. */
export class Failing {
  #sinceMs: number | undefined;

  /** True when it has lasted. */
  seen(isFailing: boolean, nowMs: number): boolean {
    this.#sinceMs = isFailing ? (this.#sinceMs ?? nowMs) : undefined;
    return this.#sinceMs !== undefined && nowMs - this.#sinceMs >= FAILING_MS;
  }
}
