import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, setCurrentDetails, startChild } from '@temporalio/workflow';
import { workflowId } from './model/names.ts';
import { checkOrder } from './model/order-check.ts';
import type { ScheduledOrder } from './model/orders.ts';
import type { ScheduledResult } from './model/results.ts';

/**
 * What a Schedule starts: Temporal appends the time to the id of a scheduled run, and the real one has an id that forbids
 * two at once. A run that is in the way is recorded as a skip. Input: {"workflow":"backup","input":{"source":"shop"}}.
 */
export async function scheduled(given: ScheduledOrder): Promise<ScheduledResult> {
  const { workflow, input } = checkOrder<ScheduledOrder>('scheduled', given, {
    'workflow!': ['backup', 'drill'],
    'input!': 'mapping',
  });
  const { source } = checkOrder<{ source: string }>('scheduled.input', input, { ...ANY_OF_BOTH });
  const id = workflowId[workflow](source);
  try {
    const child = await startChild(workflow, {
      workflowId: id,
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${workflow} of ${source}, by its schedule`,
    });
    setCurrentDetails(`started ${id}`);
    return { outcome: 'started', workflowId: id, runId: child.firstExecutionRunId };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const reason = `${id} is running already`;
    setCurrentDetails(`skipped: ${reason}`);
    return { outcome: 'skipped', workflowId: id, reason };
  }
}

/** The started workflow checks the rest. */
const ANY_OF_BOTH = { 'source!': 'text', label: 'text', checkpoint: 'text', target: 'target', host: 'text' } as const;
