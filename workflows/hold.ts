import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { failure } from './model/failure.ts';
import type { HoldOrder } from './model/orders.ts';
import type { HoldResult } from './model/retention-result.ts';
import { quick } from './options.ts';

/**
 * Keeps a recovery point from being removed, or takes that back. Input: {"source":"shop","point":"...","reason":"case 12"},
 * or {"source":"shop","point":"...","release":true}.
 */
export async function hold(given: HoldOrder): Promise<HoldResult> {
  const { order, journal, notices } = await begin<HoldOrder>('hold', given, {
    'source!': 'text',
    'point!': 'text',
    reason: 'text',
    release: 'flag',
  });
  const { point, reason, release = false } = order;
  return conclude(
    journal,
    () => {
      if (release === (reason !== undefined)) throw oneOfBoth(release);
      journal.step(release ? `release ${point}` : `hold ${point}: ${reason}`);
      return quick({ summary: release ? `release ${point}` : `hold ${point}` }).markPoint(order);
    },
    {
      tell: (error) => {
        const title = `point ${point} of ${order.source} is ${release ? 'not released' : 'not held'}`;
        notices.send({ severity: 'error', title, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}

function oneOfBoth(release: boolean): Error {
  return failure(
    'ConfigInvalid',
    `order hold has ${release ? 'a reason and a release' : 'neither a reason nor a release'}`,
    {
      place: 'hold.reason',
      expected: 'a reason, or release: true',
      found: release ? 'both' : 'none',
      hint: 'start it with {"source":"...","point":"...","reason":"..."}',
    },
  );
}
