import { WorkflowNotFoundError } from '@temporalio/client';
import { workflowId } from '../workflows/model/names.ts';
import type { WalOrder } from '../workflows/model/orders.ts';
import type { Session } from './connect.ts';
import { startOrJoin } from './start.ts';

/** A WAL stream of a source: one run that never ends by itself. */
export interface StreamStep {
  do: 'start' | 'keep';
  id: string;
  order: WalOrder;
}

/** Which WAL streams are not there. Changes nothing. */
export function planStreams(session: Session): Promise<StreamStep[]> {
  return Promise.all(
    streamed(session).map(async (order) => {
      const id = workflowId.wal(order.source, order.stream);
      return { do: (await isRunning(session, id)) ? ('keep' as const) : ('start' as const), id, order };
    }),
  );
}

function streamed({ config }: Session): WalOrder[] {
  return Object.entries(config.sources).flatMap(([source, { dumps, wal }]) =>
    dumps === true
      ? []
      : Array.from({ length: wal.streams ?? 1 }, (_, index) => ({
          source,
          ...(index === 0 ? {} : { stream: index + 1 }),
        })),
  );
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
export async function startStream(session: Session, { id, order }: StreamStep): Promise<void> {
  const summary = `stream the WAL of ${order.source}`;
  await startOrJoin(session, { workflow: 'wal', workflowId: id, order, summary });
}
