import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { failure } from './model/failure.ts';
import type { VerifyOrder } from './model/orders.ts';
import type { VerifyResult } from './model/results.ts';
import { bulk } from './options.ts';

/** Reads every byte of a recovery point. Input: {"source":"shop","point":"20260301T020000Z-1a2b3c4d-1"}. */
export async function verify(given: VerifyOrder): Promise<VerifyResult> {
  const { order, journal, notices } = await begin<VerifyOrder>('verify', given, {
    'source!': 'text',
    'point!': 'text',
  });
  return conclude(
    journal,
    async () => {
      journal.step(`read ${order.point}`);
      const result = await bulk({ summary: `read every byte of ${order.point}` }).verifyPoint(order);
      const bad = result.checks.filter((check) => !check.ok);
      if (bad.length === 0) return result;
      throw failure('Integrity', `point ${order.point} is not whole: ${bad.map((check) => check.name).join(', ')}`, {
        place: `${order.source}/${order.point}`,
        expected: bad.map((check) => check.expected).join('; '),
        found: bad.map((check) => check.found).join('; '),
        hint: `take a new backup: lifeboat backup ${order.source}`,
        evidence: result.checks,
      });
    },
    {
      tell: (error) => {
        const title = `recovery point ${order.point} of ${order.source} failed its verification`;
        notices.send({ severity: 'critical', title, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}
