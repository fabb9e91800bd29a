import { ChildWorkflowCancellationType, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { shortSummary } from '../options.ts';

export interface Start {
  id: string;
  input: unknown;
  /** Shown in the Temporal UI as the title of the run. */
  summary: string;
}

export interface Started {
  runId: string;
  /** Settles as the run does; nobody has to wait for it. */
  ended: Promise<unknown>;
}

/**
 * Starts a workflow that is its own master: neither our end nor our cancellation reaches it.
 * WorkflowExecutionAlreadyStartedError when one runs under this id.
 */
export async function startOnItsOwn(workflow: string, { id, input, summary }: Start): Promise<Started> {
  const child = await startChild(workflow, {
    workflowId: id,
    args: [input],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    // The default hands a cancellation of ours on to the child.
    cancellationType: ChildWorkflowCancellationType.ABANDON,
    staticSummary: shortSummary(summary),
  });
  const ended = child.result();
  ended.catch(() => undefined);
  return { runId: child.firstExecutionRunId, ended };
}
