import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 100;
const LONGEST_MS = 120_000;

/** Asks again and again until there is an answer; fails, rather than hang, when the test would have no time left. */
export async function until<T>(
  what: string | (() => string),
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadlineMs = Date.now() + LONGEST_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadlineMs) throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`);
    await sleep(LOOK_MS);
  }
}
