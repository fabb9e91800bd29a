import { CancellationScope } from '@temporalio/workflow';
import { messageOf } from './conclude.ts';
import type { Switching } from './failing-over.ts';
import { timed } from './failing-over.ts';

/** How long a run waits at its end for an old site to come down: it has done its work by then. */
const LEAVE_MS = 600_000;

function movesCompute({ service }: Switching): boolean {
  return service.traffic.some(({ overlaps }) => overlaps === true);
}

/** Compute before traffic: what works at both sites for a while comes up, while it stays up where it is. */
export async function raiseSite(use: Switching): Promise<void> {
  const { traffic, to, undo } = use;
  if (!movesCompute(use)) return;
  undo.push('take down again what came up', () => traffic.putBack());
  await timed(use, `bring up site ${to.site}`, () => traffic.raise(to.site));
}

/** Takes down what all traffic has left; what does not come down in time is said to those who read the result. */
export async function leaveSite(use: Switching): Promise<string[]> {
  const { traffic, from, to, journal } = use;
  if (!movesCompute(use) || from.site === to.site) return [];
  try {
    const work = (): Promise<void> => timed(use, `take down site ${from.site}`, () => traffic.leave(from.site));
    await CancellationScope.withTimeout(LEAVE_MS, work);
    return [];
  } catch (error) {
    const left = `take down what still works at ${from.site}: ${messageOf(error)}`;
    journal.note(left);
    return [left];
  }
}
