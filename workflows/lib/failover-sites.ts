import { CancellationScope, sleep } from '@temporalio/workflow';
import { messageOf } from './conclude.ts';
import type { Raising, Switching } from './failing-over.ts';
import { aside, timed } from './failing-over.ts';
import { orTold } from './behind-promotion.ts';
import { failure } from '../model/failure.ts';
import { formatDuration } from '../model/units.ts';

/** How long a run waits at its end for an old site to come down: it has done its work by then. */
const LEAVE_MS = 600_000;
/** How long clients wait, at most, for a site that comes up, behind a promotion. */
const RAISE_MS = 300_000;

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

/** The same beside the other steps: nobody is fenced later because tasks are slow to start. */
export function beginRaise(use: Switching): Raising | undefined {
  const { traffic, to, undo, journal } = use;
  if (!movesCompute(use)) return undefined;
  const scope = new CancellationScope();
  let failed: string | undefined;
  const ended = scope.run(() => aside(use, `bring up site ${to.site}`, () => traffic.raise(to.site)));
  const known = ended.catch((error: unknown) => {
    failed = messageOf(error);
    journal.note(`site ${to.site} does not come up: ${failed}`);
  });
  const stop = async (): Promise<void> => {
    scope.cancel();
    await known;
  };
  undo.push('take down again what came up', async () => {
    await stop();
    await traffic.putBack();
  });
  return { ended, failed: () => failed, stop };
}

/** A database that serves is worth more than a site that is complete: clients are sent there when it takes too long, and people are told. */
export async function awaitRaised(use: Switching): Promise<void> {
  const { raising, to } = use;
  if (!raising) return;
  await orTold(use, `wait until site ${to.site} is up`, async () => {
    const timer = new CancellationScope();
    const late = timer.run(() =>
      sleep(RAISE_MS, { summary: `site ${to.site}: up within ${formatDuration(RAISE_MS)}` }),
    );
    const isUp = await Promise.race([raising.ended.then(() => true), late.then(() => false)]).finally(() => {
      late.catch(() => undefined);
      timer.cancel();
    });
    if (isUp) return;
    await raising.stop();
    throw failure('Unavailable', `site ${to.site} is not up after ${formatDuration(RAISE_MS)}`, {
      ...{ place: `site ${to.site}`, expected: 'all of its switches up', found: 'not yet' },
      hint: 'bring it up by hand: clients are sent there',
    });
  });
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
