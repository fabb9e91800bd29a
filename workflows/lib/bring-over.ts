import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { hostQueue } from '../model/names.ts';
import type { RestoreResult } from '../model/recovery.ts';
import { foreign } from '../options.ts';
import { keepFinished } from './keep-finished.ts';
import type { Recovering } from './recover.ts';

/**
 * Brings what the plan says from a proven copy into the server that runs, then removes the copy. When that cannot be done the
 * copy is kept: it took longer to make than to dump.
 */
export async function bringingOver(
  restored: RestoreResult,
  { journal, undo }: Pick<Recovering, 'journal' | 'undo'>,
): Promise<RestoreResult> {
  const { plan } = restored;
  const name = plan.partial?.bring?.into.name ?? '';
  journal.step('bring over');
  const acts = foreign({ summary: `bring over as database ${name}`, taskQueue: hostQueue(plan.host) });
  try {
    const brought = await acts.bringOver(plan);
    const rtoMs = journal.elapsedMs();
    journal.note(`database ${name} is on ${brought.server}: ${brought.tables} tables, ${brought.rows} rows`);
    await CancellationScope.nonCancellable(() => undo.unwind(journal));
    return { ...restored, brought, rtoMs };
  } catch (error) {
    if (!isCancellation(error)) await keepFinished(plan, { journal, undo });
    throw error;
  }
}
