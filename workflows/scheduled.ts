import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { setCurrentDetails } from '@temporalio/workflow';
import { startOnItsOwn } from './lib/start-on-its-own.ts';
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
    'workflow!': ['backup', 'drill', 'failoverDrill', 'retention', 'verifyAll', 'verifyWal'],
    'input!': 'mapping',
  });
  const subject = subjectOf(workflow, input);
  const id = workflowId[workflow](subject);
  try {
    const { runId } = await startOnItsOwn(workflow, {
      id,
      input,
      summary: `${workflow} of ${subject}, by its schedule`,
    });
    setCurrentDetails(`started ${id}`);
    return { outcome: 'started', workflowId: id, runId };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const reason = `${id} is running already`;
    setCurrentDetails(`skipped: ${reason}`);
    return { outcome: 'skipped', workflowId: id, reason };
  }
}

/** Source, or service, that it is about. */
function subjectOf(workflow: ScheduledOrder['workflow'], input: object): string {
  if (workflow === 'failoverDrill') {
    const shape = { 'service!': 'name', to: 'text' } as const;
    return checkOrder<{ service: string }>('scheduled.input', input, shape).service;
  }
  return checkOrder<{ source: string }>('scheduled.input', input, { ...ANY_OF_THEM }).source;
}

/** The started workflow checks the rest. */
const ANY_OF_THEM = {
  'source!': 'name',
  label: 'text',
  checkpoint: 'text',
  type: 'text',
  target: 'target',
  host: 'text',
  since: 'since',
  timeline: 'count',
} as const;
