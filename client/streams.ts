import { WorkflowNotFoundError } from '@temporalio/client';
import { refreshSignal } from '../workflows/messages.ts';
import { MOST_STREAMS, workflowId } from '../workflows/model/names.ts';
import type { WalOrder, WatchOrder } from '../workflows/model/orders.ts';
import type { Session } from './connect.ts';
import { startOrJoin } from './start.ts';

/** A run that never ends by itself: a WAL stream of a source, or the watch over a cluster. */
export interface StreamStep {
  do: 'start' | 'keep' | 'end';
  id: string;
  workflow: 'wal' | 'watch';
  order: WalOrder | WatchOrder;
  /** What it does, for people. */
  summary: string;
}

type Wanted = Omit<StreamStep, 'do'>;

/** Which of them are not there, and which WAL streams are that should not be. Changes nothing. */
export async function planStreams(session: Session): Promise<StreamStep[]> {
  const wanted = [...streamed(session), ...watched(session)];
  const steps = await Promise.all([
    ...wanted.map(async (each): Promise<StreamStep[]> => {
      return [{ ...each, do: (await isRunning(session, each.id)) ? 'keep' : 'start' }];
    }),
    ...surplus(session).map(async (each): Promise<StreamStep[]> => {
      return (await isRunning(session, each.id)) ? [{ ...each, do: 'end' }] : [];
    }),
  ]);
  return steps.flat();
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
    dumps === true ? [] : streamsOf(source, { from: 1, to: wal.streams ?? 1 }),
  );
}

/** Streams that a source may have had, and that the configuration does not name. */
function surplus({ config }: Session): Wanted[] {
  return Object.entries(config.sources).flatMap(([source, { dumps, wal }]) =>
    dumps === true ? [] : streamsOf(source, { from: (wal.streams ?? 1) + 1, to: MOST_STREAMS }),
  );
}

function streamsOf(source: string, { from, to }: { from: number; to: number }): Wanted[] {
  return Array.from({ length: to - from + 1 }, (_, index) => streamOf(source, from + index));
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

/** It looks at the configuration of its worker, ends when that does not name it, and drops its slot. */
export async function endStream(session: Session, { id }: StreamStep): Promise<void> {
  await session.ask(() => session.client.workflow.getHandle(id).signal(refreshSignal));
}
