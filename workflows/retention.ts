import { begin } from './lib/begin.ts';
import { conclude, messageOf } from './lib/conclude.ts';
import type { RetentionOrder } from './model/orders.ts';
import type { Refusal, RetentionResult } from './model/retention-result.ts';
import { formatBytes } from './model/units.ts';
import { bulk, quick } from './options.ts';

/**
 * Removes what the rules of a source do not keep: points first, what stands on another before it, then the WAL that
 * nothing needs. Cancelled or dead anywhere, it leaves nothing that a repeat does not clean up. Input: {"source":"shop"}, or
 * {"source":"shop","dryRun":true} to see what would go.
 */
export async function retention(given: RetentionOrder): Promise<RetentionResult> {
  const { order, journal, notices } = await begin<RetentionOrder>('retention', given, {
    'source!': 'text',
    dryRun: 'flag',
  });
  const { source } = order;
  return conclude(
    journal,
    async () => {
      journal.step('decide what is kept');
      const preview = await quick({ summary: 'decide what is kept' }).planRetention({ source });
      journal.note(`${preview.kept} points are kept, ${preview.removed} are not`);
      if (order.dryRun === true) return { dryRun: true, preview };
      journal.step('remove points');
      const points = await bulk({ summary: `remove ${preview.removed} points` }).removePoints({ source });
      journal.step('remove WAL');
      const wal = await bulk({ summary: 'remove WAL that nothing needs' }).removeWal({ source });
      journal.note(`removed ${points.count} points and ${formatBytes(wal.storedBytes)} of WAL`);
      const refused = [...points.refused, ...wal.refused];
      if (refused.length > 0) {
        const title = `store of ${source} refuses to delete`;
        notices.send({ severity: 'warning', title, body: refusalText(refused), lasting: true });
        journal.note(`${title}: ${refusalText(refused)}`);
      }
      return { dryRun: false, preview, points, wal };
    },
    {
      tell: (error) => {
        notices.send({ severity: 'error', title: `retention of ${source} failed`, body: messageOf(error) });
      },
      finish: () => notices.settle(),
    },
  );
}

function refusalText(refused: readonly Refusal[]): string {
  const [first] = refused;
  return `${refused.length} objects or points stay, the first ${first?.place}: ${first?.reason}`;
}
