import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import { failure } from './model/failure.ts';
import type { CompactWalOrder } from './model/orders.ts';
import type { CompactResult } from './model/verify-result.ts';
import { faultCheck } from './model/verify-result.ts';
import { bulk } from './options.ts';

/**
 * Makes one object of the pieces that a stream left of a segment. Cancelled or dead anywhere, it leaves nothing that a repeat
 * does not go on with. Input: {"source":"shop"}.
 */
export async function compactWal(given: CompactWalOrder): Promise<CompactResult> {
  const { order, journal, notices } = await begin<CompactWalOrder>('compactWal', given, {
    'source!': 'text',
    open: 'flag',
  });
  const { source } = order;
  return conclude(
    journal,
    async () => {
      journal.step('compact WAL');
      const result = await bulk({ summary: `compact the stored WAL of ${source}` }).compactWal(order);
      journal.note(`${result.objects} objects stand for ${result.pieces} pieces`);
      for (const { place, reason } of result.refused) journal.note(`the store refuses to delete ${place}: ${reason}`);
      const [first] = result.faults;
      if (!first) return result;
      throw failure('Integrity', `${result.faultCount} stretches of WAL of ${source} cannot be compacted`, {
        ...{ place: first.place, expected: first.expected, found: `${first.what}: ${first.found}` },
        hint: `they stay as they are; see what it costs: lifeboat wal verify ${source}`,
        evidence: { checks: result.faults.map(faultCheck), ...result },
      });
    },
    {
      tell: (error) => {
        notices.send({ severity: 'critical', title: `WAL of ${source} is not compacted`, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}
