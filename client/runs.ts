import { TASK_QUEUE } from '../workflows/model/names.ts';
import type { Session } from './connect.ts';
import { noSuchRun, temporalFailure } from './temporal-failure.ts';
import type { RunState } from './watch.ts';
import { readState } from './watch.ts';

export interface RunLine {
  workflowId: string;
  runId: string;
  type: string;
  status: string;
  startedAt: string;
  closedAt?: string;
}

/** The newest runs of Lifeboat in the namespace; what started a moment ago may be missing still. */
export async function listRuns(session: Session, limit: number): Promise<RunLine[]> {
  const { address, namespace } = session.config.temporal;
  const runs: RunLine[] = [];
  const query = `TaskQueue = "${TASK_QUEUE}" AND WorkflowType != "inspect"`;
  try {
    for await (const run of session.client.workflow.list({ query, pageSize: Math.min(limit, 100) })) {
      if (run.workflowId.includes('/preview/')) continue;
      runs.push({
        workflowId: run.workflowId,
        runId: run.runId,
        type: run.type,
        status: run.status.name,
        startedAt: run.startTime.toISOString(),
        ...(run.closeTime ? { closedAt: run.closeTime.toISOString() } : {}),
      });
      if (runs.length >= limit) break;
    }
  } catch (error) {
    throw temporalFailure(error, { address, namespace });
  }
  return runs;
}

/** The newest run of an id; NotFound when Temporal has none. */
export async function findRun(session: Session, workflowId: string): Promise<RunState> {
  try {
    return await readState(session, { workflowId });
  } catch (error) {
    throw noSuchRun(error, workflowId);
  }
}
