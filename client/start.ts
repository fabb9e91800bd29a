import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { failure } from '../workflows/model/failure.ts';
import { TASK_QUEUE } from '../workflows/model/names.ts';
import type { Session } from './connect.ts';

export interface RunRequest {
  /** Workflow type. */
  workflow: string;
  workflowId: string;
  /** The workflow's one argument. */
  order: object;
  /** One line for the Temporal UI. */
  summary: string;
  /** It changes nothing and nobody else waits for it: see Followed. */
  question?: boolean;
}

export interface StartedRun {
  workflowId: string;
  runId: string;
  /** It was running already, with the same order. */
  joined: boolean;
  url?: string;
}

const ATTEMPTS = 5;

/**
 * Starts a run, or joins the one that holds the id when it has the same order: the same command twice is one run.
 * Busy when the id is held with another order.
 */
export async function startOrJoin(session: Session, request: RunRequest): Promise<StartedRun> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const run = (await tryStart(session, request)) ?? (await tryJoin(session, request));
    if (run) {
      const url = session.runUrl(run.workflowId, run.runId);
      return { ...run, ...(url === undefined ? {} : { url }) };
    }
  }
  throw failure('Busy', `run ${request.workflowId} is started and ended by others again and again`, {
    place: request.workflowId,
    hint: 'lifeboat status',
  });
}

async function tryStart(session: Session, request: RunRequest): Promise<StartedRun | undefined> {
  try {
    const handle = await session.ask(() =>
      session.client.workflow.start(request.workflow, {
        taskQueue: TASK_QUEUE,
        workflowId: request.workflowId,
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        args: [request.order],
        staticSummary: request.summary,
      }),
    );
    return { workflowId: request.workflowId, runId: handle.firstExecutionRunId, joined: false };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

/** undefined when the run that was in the way has ended meanwhile. */
async function tryJoin(session: Session, request: RunRequest): Promise<StartedRun | undefined> {
  const { workflowId } = request;
  const found = await session.ask(() => session.client.workflow.getHandle(workflowId).describe());
  if (found.status.name !== 'RUNNING') return undefined;
  const running = await orderOf(session, found);
  if (found.type !== request.workflow || canonical(running) !== canonical(request.order)) {
    throw failure('Busy', `run ${workflowId} is going on with another order`, {
      place: `${workflowId}, started ${found.startTime.toISOString()}`,
      expected: `${request.workflow} ${canonical(request.order)}`,
      found: `${found.type} ${canonical(running)}`,
      hint: `lifeboat status ${workflowId} --follow, or lifeboat cancel ${workflowId}`,
    });
  }
  return { workflowId, runId: found.runId, joined: true };
}

/** The argument a run was started with, whoever started it: it stands in the first event of its history. */
export async function orderOf(session: Session, run: { workflowId: string; runId: string }): Promise<unknown> {
  const { client } = session;
  const answer = await session.ask(() =>
    client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: run,
      maximumPageSize: 1,
    }),
  );
  const input = answer.history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input;
  const [order] = await decodeArrayFromPayloads(client.options.loadedDataConverter, input?.payloads);
  return order;
}

/** JSON with sorted keys, so that two orders compare by what they say. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
