import { WorkflowNotFoundError } from '@temporalio/client';
import { workflowId } from '../workflows/model/names.ts';
import type { WalOrder, WatchOrder } from '../workflows/model/orders.ts';
import type { Session } from './connect.ts';
import { startOrJoin } from './start.ts';

/** A run that never ends by itself: a WAL stream of a source, or the watch over a cluster. */
export interface StreamStep {
  do: 'start' | 'keep';
  id: string;
  workflow: 'wal' | 'watch';
  order: WalOrder | WatchOrder;
  /** What it does, for people. */
  summary: string;
}

type Wanted = Omit<StreamStep, 'do'>;

/** Which of them are not there. Changes nothing. */
export function planStreams(session: Session): Promise<StreamStep[]> {
  return Promise.all(
    [...streamed(session), ...watched(session)].map(async (wanted) => ({
      ...wanted,
      do: (await isRunning(session, wanted.id)) ? ('keep' as const) : ('start' as const),
    })),
  );
}

function watched({ config }: Session): Wanted[] {
  return Object.entries(config.services).flatMap(([service, { cluster }]) => (cluster ? [watchOf(service)] : []));
}

/** The watch over the servers of a service. */
export function watchOf(service: string): Wanted {
  return {
    id: workflowId.watch(service),
    workflow: 'watch',
    order: { service },
    summary: `watch the servers of ${service}`,
  };
}

function streamed({ config }: Session): Wanted[] {
  return Object.entries(config.sources).flatMap(([source, { dumps, wal }]) =>
    dumps === true ? [] : Array.from({ length: wal.streams ?? 1 }, (_, index) => streamOf(source, index + 1)),
  );
}

function streamOf(source: string, stream: number): Wanted {
  const order: WalOrder = { source, ...(stream === 1 ? {} : { stream }) };
  return { id: workflowId.wal(source, order.stream), workflow: 'wal', order, summary: `stream the WAL of ${source}` };
}

async function isRunning(session: Session, id: string): Promise<boolean> {
  try {
    return (await session.ask(() => session.client.workflow.getHandle(id).describe())).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Joins it when somebody started it meanwhile. */
export async function startStream(
  session: Session,
  { id, workflow, order, summary }: Wanted,
): Promise<{ joined: boolean }> {
  const { joined } = await startOrJoin(session, { workflow, workflowId: id, order, summary });
  return { joined };
}
