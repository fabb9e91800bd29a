import type { Clock } from './clock.ts';

/** Waits until `work` has ended, well or not, but not longer than `ms`. Never rejects. */
export async function settledWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController();
  const deadline = clock.sleep(ms, enough.signal).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), deadline]);
  enough.abort();
}
