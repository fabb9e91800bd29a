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
 * workers that failed together do not come back together. Every store call is safe to repeat (store.ts).
 */
export function withRetry(inner: StoreSession, run: Run, options: RetryOptions = DEFAULT_RETRY): StoreSession {
  return wrapSession(inner, {
    around: async (operation, key, call) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await call();
        } catch (error) {
          if (attempt >= options.tries || !isRetryable(error)) throw error;
          const waitMs = delayMs(error, attempt, options);
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

function delayMs(error: unknown, attempt: number, options: RetryOptions): number {
  const asked = findFailure(error)?.nextRetryDelay;
  const bound = Math.min(options.longestDelayMs, options.firstDelayMs * 2 ** (attempt - 1));
  return typeof asked === 'number' ? asked : Math.random() * bound;
}
