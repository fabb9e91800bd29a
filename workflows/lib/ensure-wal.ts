import { ParentClosePolicy, startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { workflowId } from '../model/names.ts';
import type { WalOrder } from '../model/orders.ts';

/** Makes sure that the WAL of a source is being streamed. The stream is not ours: it goes on when we end. */
export async function ensureWal(source: string): Promise<'started' | 'running'> {
  const order: WalOrder = { source };
  try {
    await startChild('wal', {
      workflowId: workflowId.wal(source),
      args: [order],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `stream the WAL of ${source}`,
    });
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'running';
    throw error;
  }
}
