import type { WorkflowHandle } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareLsn } from '../../../workflows/model/lsn.ts';
import { TASK_QUEUE, workflowId } from '../../../workflows/model/names.ts';
import type { BackupOrder, RestoreOrder } from '../../../workflows/model/orders.ts';
import type { PointSummary } from '../../../workflows/model/manifest.ts';
import type { RestoreResult } from '../../../workflows/model/recovery.ts';
import type { InspectAnswer } from '../../../workflows/model/results.ts';
import type { StackProcess } from '../stack/index.ts';
import type { World } from './world.ts';
import { SOURCE } from './world.ts';

const LOOK_MS = 20;
/** Steps whose worker is worth killing: they move data. */
const IN_THE_MIDDLE = ['fetchBase', 'replayWal'];

export interface Run<T> {
  handle: WorkflowHandle;
  runId: string;
  result: Promise<T>;
}

export function startBackup(world: World): Promise<Run<PointSummary>> {
  const order: BackupOrder = { source: SOURCE, label: 'demo' };
  return start(world, { workflow: 'backup', id: workflowId.backup(SOURCE), order });
}

export function startRestore(world: World, xid: string): Promise<Run<RestoreResult>> {
  const order: RestoreOrder = { source: SOURCE, target: { kind: 'xid', xid, inclusive: false } };
  return start(world, { workflow: 'restore', id: workflowId.restore(SOURCE), order });
}

async function start<T>(world: World, what: { workflow: string; id: string; order: object }): Promise<Run<T>> {
  const handle = await world.client.workflow.start(what.workflow, {
    workflowId: what.id,
    taskQueue: TASK_QUEUE,
    args: [what.order],
    staticSummary: `${what.workflow} of ${SOURCE}`,
  });
  const result = handle.result() as Promise<T>;
  result.catch(() => undefined);
  return { handle, runId: handle.firstExecutionRunId, result };
}

/** Resolves when the vault holds the WAL up to a position. */
export async function waitForWal(world: World, lsn: string, signal: AbortSignal): Promise<void> {
  for (let asked = 1; ; asked++) {
    const answer = (await world.client.workflow.execute('inspect', {
      workflowId: `inspect/wal/${asked}`,
      taskQueue: TASK_QUEUE,
      args: [{ what: 'wal', source: SOURCE }],
    })) as InspectAnswer & { what: 'wal' };
    const end = answer.wal.ranges.at(-1)?.endLsn;
    if (end !== undefined && compareLsn(end, lsn) >= 0) return;
    await sleep(LOOK_MS * 10, undefined, { signal });
  }
}

/** SIGKILLs the worker as soon as it moves data for the run; returns which step it was in. */
export async function killInTheMiddle(
  run: Run<unknown>,
  worker: StackProcess,
  signal: AbortSignal,
): Promise<string | undefined> {
  let over = false;
  void run.result.finally(() => (over = true)).catch(() => undefined);
  while (!over) {
    const { raw } = await run.handle.describe();
    const step = raw.pendingActivities?.find(({ activityType, lastStartedTime }) =>
      Boolean(lastStartedTime && IN_THE_MIDDLE.includes(activityType?.name ?? '')),
    );
    if (step) {
      worker.kill('SIGKILL');
      await worker.exited;
      return step.activityType?.name ?? '';
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
  return undefined;
}
