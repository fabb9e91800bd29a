import { WorkflowNotFoundError } from '@temporalio/client';
import { workflowId } from '../workflows/model/names.ts';
import type { WalOrder } from '../workflows/model/orders.ts';
import type { Session } from './connect.ts';
import { startOrJoin } from './start.ts';

/** The WAL stream of a source: one run that never ends by itself. */
export interface StreamStep {
  do: 'start' | 'keep';
  id: string;
  source: string;
}

/** Which sources have no WAL stream. Changes nothing. */
export function planStreams(session: Session): Promise<StreamStep[]> {
  return Promise.all(
    streamed(session).map(async (source) => {
      const id = workflowId.wal(source);
      return { do: (await isRunning(session, id)) ? ('keep' as const) : ('start' as const), id, source };
    }),
  );
}

function streamed({ config }: Session): string[] {
  return Object.keys(config.sources).filter((source) => config.sources[source]?.dumps !== true);
}

async function isRunning(session: Session, id: string): Promise<boolean> {
  try {
    return (await session.ask(() => session.client.workflow.getHandle(id).describe())).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Joins the stream when somebody started it meanwhile. */
export async function startStream(session: Session, { id, source }: StreamStep): Promise<void> {
  const order: WalOrder = { source };
  await startOrJoin(session, { workflow: 'wal', workflowId: id, order, summary: `stream the WAL of ${source}` });
}
