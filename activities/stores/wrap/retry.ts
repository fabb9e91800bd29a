import { findFailure, isRetryable } from '../../../workflows/model/failure.ts';
import type { Run } from '../../io/run.ts';
import type { StoreSession } from '../store.ts';
import { wrapSession } from './wrap.ts';

export interface RetryOptions {
  /** Tries in all, the first included. */
  tries: number;
  firstDelayMs: number;
  longestDelayMs: number;
}

export const DEFAULT_RETRY: RetryOptions = { tries: 6, firstDelayMs: 200, longestDelayMs: 10_000 };

/**
 * Repeats what may help (Unavailable, Busy) with full jitter: the delay is random below a doubling bound, so that many
 * workers that failed together do not come back together. Every store call is safe to repeat (store.ts). A store that asks
 * for a longer wait than `longestDelayMs` is left alone: the failure goes to the caller with the wish in it.
 */
export function withRetry(inner: StoreSession, run: Run, options: RetryOptions = DEFAULT_RETRY): StoreSession {
  return wrapSession(inner, {
    around: async (operation, key, call) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await call();
        } catch (error) {
          run.signal.throwIfAborted();
          const waitMs = delayMs(error, attempt, options);
          if (waitMs === undefined) throw error;
          run.log.warn(`store ${operation} ${key} failed, again in ${Math.round(waitMs)} ms`, {
            attempt,
            error: String(error),
          });
          await run.clock.sleep(waitMs, run.signal);
        }
      }
    },
  });
}

/** undefined when another try is of no use. */
function delayMs(error: unknown, attempt: number, options: RetryOptions): number | undefined {
  if (attempt >= options.tries || !isRetryable(error)) return undefined;
  const bound = Math.min(options.longestDelayMs, options.firstDelayMs * 2 ** (attempt - 1));
  const jitter = Math.random() * bound;
  const asked = findFailure(error)?.nextRetryDelay;
  if (typeof asked !== 'number') return jitter;
  return asked > options.longestDelayMs ? undefined : asked + jitter;
}
