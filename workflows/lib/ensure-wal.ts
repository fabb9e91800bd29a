import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { workflowId } from '../model/names.ts';
import type { WalOrder } from '../model/orders.ts';
import { startOnItsOwn } from './start-on-its-own.ts';

/** Makes sure that the WAL of a source is being streamed. The stream is not ours: it goes on when we end. */
export async function ensureWal(source: string): Promise<'started' | 'running'> {
  const order: WalOrder = { source };
  try {
    await startOnItsOwn('wal', { id: workflowId.wal(source), input: order, summary: `stream the WAL of ${source}` });
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'running';
    throw error;
  }
}
