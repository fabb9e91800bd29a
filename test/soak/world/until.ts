import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 200;
/** For what hangs only: a busy machine takes several times as long as a quiet one. */
const LONGEST_MS = 10 * 60_000;

/** Asks again and again until there is an answer; fails with `what` when there is none for so long that there never will be. */
export async function until<T>(
  what: () => string,
  { signal }: { signal: AbortSignal },
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = Date.now() + LONGEST_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadlineMs) throw new Error(`waited ${LONGEST_MS / 60_000} minutes in vain: ${what()}`);
    await sleep(LOOK_MS, undefined, { signal });
  }
}
