import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { workflowId } from '../model/names.ts';
import type { WalOrder } from '../model/orders.ts';
import type { SourceFacts } from '../model/results.ts';
import { startOnItsOwn } from './start-on-its-own.ts';

/** Makes sure that the WAL of a source is being streamed. The streams are not ours: they go on when we end. */
export async function ensureWal({ source, walStreams = 1 }: SourceFacts): Promise<void> {
  for (let stream = 1; stream <= walStreams; stream++) await ensureStream(source, stream);
}

async function ensureStream(source: string, stream: number): Promise<void> {
  const input: WalOrder = { source, ...(stream === 1 ? {} : { stream }) };
  try {
    await startOnItsOwn('wal', { id: workflowId.wal(source, stream), input, summary: `stream the WAL of ${source}` });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
