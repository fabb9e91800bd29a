import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { failure } from './model/failure.ts';
import type { VerifyWalOrder } from './model/orders.ts';
import { formatBytes } from './model/units.ts';
import { walChecks, wrongWal } from './model/verify-result.ts';
import type { WalVerified } from './model/wal-verify.ts';
import { bulk } from './options.ts';

/**
 * Reads all stored WAL of a source, or what came since a moment or of one timeline. Input: {"source":"shop"}, or
 * {"source":"shop","since":"2026-03-01T00:00:00Z"}.
 */
export async function verifyWal(given: VerifyWalOrder): Promise<WalVerified> {
  const { order, journal, notices } = await begin<VerifyWalOrder>('verifyWal', given, {
    'source!': 'text',
    since: 'since',
    timeline: 'count',
  });
  const { source } = order;
  return conclude(
    journal,
    async () => {
      journal.step('read WAL');
      const result = await bulk({ summary: `read the stored WAL of ${source}` }).verifyWal(order);
      journal.note(`${result.objects} objects, ${formatBytes(result.walBytes)} of WAL, ${result.records} records`);
      if (result.ok) return result;
      throw failure('Integrity', `stored WAL of ${source} is not whole: ${wrongWal(result)}`, {
        place: result.faults[0]?.place ?? `source ${source}`,
        expected: 'every object as it was written, and no hole that no base closes',
        found: wrongWal(result),
        hint: `lifeboat reachable ${source} shows what can be restored; take a new base: lifeboat backup ${source}`,
        evidence: { checks: walChecks(result), wal: result },
      });
    },
    {
      tell: (error) => {
        const title = `stored WAL of ${source} failed its verification`;
        notices.send({ severity: 'critical', title, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}
