import { CancellationScope } from '@temporalio/workflow';
import { hostQueue } from '../model/names.ts';
import type { RecoveryPlan } from '../model/recovery.ts';
import { quick } from '../options.ts';
import { messageOf } from './conclude.ts';
import type { Recovering } from './recover.ts';
import { keep } from './recover.ts';

/** A proven copy that was only to be worked on stays after all, as one that was meant to. */
export async function keepFinished(plan: RecoveryPlan, use: Pick<Recovering, 'journal' | 'undo'>): Promise<void> {
  keep(plan, use);
  await CancellationScope.nonCancellable(async () => {
    const acts = quick({ summary: 'remove the helpers of the recovery', taskQueue: hostQueue(plan.host) });
    await acts.finishRestore(plan).catch((error: unknown) => use.journal.note(`not finished: ${messageOf(error)}`));
  });
}
