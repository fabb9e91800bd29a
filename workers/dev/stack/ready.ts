import { setTimeout as delay } from 'node:timers/promises';
import { failure } from '../../../workflows/model/failure.ts';
import type { StackProcess } from './process.ts';
import { endedEarly } from './process.ts';

const ASK_EVERY_MS = 50;
const LONGEST_MS = 60_000;

/**
 * Asks until the answer is true. Unavailable when the process ends before, or when it takes more than a minute;
 * `ask` may fail as often as it likes.
 */
export async function untilReady(
  server: StackProcess,
  ask: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.timeout(LONGEST_MS);
  const state: { ended: boolean; last?: unknown } = { ended: false };
  void server.exited.then(() => (state.ended = true));
  for (;;) {
    signal.throwIfAborted();
    if (state.ended) throw await endedEarly(server);
    if (limit.aborted) throw silent(server, state.last);
    const ready = await ask().catch((error: unknown) => void (state.last = error));
    if (ready === true) return;
    await delay(ASK_EVERY_MS);
  }
}

function silent({ name, logFile }: StackProcess, last: unknown): Error {
  return failure('Unavailable', `${name} did not answer within ${LONGEST_MS / 1000} s`, {
    place: logFile,
    expected: 'an answer',
    found: last instanceof Error ? last.message : 'none',
    hint: 'look into its log, and at the load of this machine',
  });
}
