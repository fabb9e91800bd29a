import type { Run } from '../io/run.ts';
import { findStore } from './index.ts';
import type { StoreSession } from './store.ts';
import { withLimit } from './wrap/limit.ts';
import { DEFAULT_RETRY, withRetry } from './wrap/retry.ts';
import { withThrottle } from './wrap/throttle.ts';

export interface StoreUse {
  kind: string;
  options: unknown;
  /** Calls at once. */
  parallel?: number;
  maxRateBytes?: number;
}

/** A store as the product uses it: retried from outside, so that a waiting retry holds no place of the limit. */
export async function openStore(use: StoreUse, run: Run): Promise<StoreSession> {
  const plain = await findStore(use.kind).open(use.options, run);
  const slow = use.maxRateBytes === undefined ? plain : withThrottle(plain, run, use.maxRateBytes);
  return withRetry(withLimit(slow, run, use.parallel ?? 16), run, DEFAULT_RETRY);
}
