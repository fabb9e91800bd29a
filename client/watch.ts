import type { WorkflowExecutionDescription } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { RunProgress } from '../workflows/messages.ts';
import { TASK_QUEUE } from '../workflows/model/names.ts';
import type { Session } from './connect.ts';
import type { ProgressView } from './progress-bar.ts';

/** What the heartbeat of a long step says (activities/io/run.ts, Progress). */
interface Heartbeat {
  phase?: string;
  doneBytes?: number;
  totalBytes?: number;
  note?: string;
}

export interface PendingStep {
  activity: string;
  /** Task queue that it waits in, or was taken from. */
  queue: string;
  attempt: number;
  /** A worker has taken it. */
  taken: boolean;
  heartbeat: Heartbeat;
  /** Message of the failure that the present attempt repeats after. */
  lastFailure?: string;
}

/** A run as it is now, from what the server knows without asking a worker. */
export interface RunState {
  status: WorkflowExecutionDescription['status']['name'];
  type: string;
  runId: string;
  startedAt: string;
  closedAt?: string;
  /** The run has work for a worker of this queue, and none has taken it. */
  waitsForQueue?: string;
  steps: PendingStep[];
}

type PendingActivity = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];

/** PENDING_ACTIVITY_STATE_SCHEDULED and PENDING_WORKFLOW_TASK_STATE_SCHEDULED of temporal.api.enums.v1. */
const SCHEDULED = 1;
const QUERY_MS = 2000;

export async function readState(session: Session, run: { workflowId: string; runId?: string }): Promise<RunState> {
  const handle = session.client.workflow.getHandle(run.workflowId, run.runId);
  const found = await session.ask(() => handle.describe());
  const steps = await Promise.all((found.raw.pendingActivities ?? []).map((each) => stepOf(session, each)));
  const task = found.raw.pendingWorkflowTask;
  return {
    status: found.status.name,
    type: found.type,
    runId: found.runId,
    startedAt: found.startTime.toISOString(),
    ...(found.closeTime ? { closedAt: found.closeTime.toISOString() } : {}),
    ...waiting(steps, task?.state === SCHEDULED),
    steps,
  };
}

function waiting(steps: readonly PendingStep[], isTaskUntaken: boolean): Pick<RunState, 'waitsForQueue'> {
  if (isTaskUntaken) return { waitsForQueue: TASK_QUEUE };
  const [first] = steps;
  const isUntaken = first !== undefined && steps.every((step) => !step.taken && step.lastFailure === undefined);
  return isUntaken ? { waitsForQueue: first.queue } : {};
}

async function stepOf(session: Session, activity: PendingActivity): Promise<PendingStep> {
  const converter = session.client.options.loadedDataConverter;
  const [heartbeat] = await decodeArrayFromPayloads(converter, activity.heartbeatDetails?.payloads);
  const lastFailure = activity.lastFailure?.message;
  return {
    activity: activity.activityType?.name ?? '',
    queue: activity.activityOptions?.taskQueue?.name || TASK_QUEUE,
    attempt: activity.attempt ?? 1,
    taken: activity.state !== SCHEDULED,
    heartbeat: typeof heartbeat === 'object' && heartbeat !== null ? heartbeat : {},
    ...(lastFailure ? { lastFailure } : {}),
  };
}

/** What the run itself says; undefined when no worker answers in time, which is no reason to stop watching. */
export async function readProgress(
  session: Session,
  run: { workflowId: string; runId?: string },
): Promise<RunProgress | undefined> {
  try {
    const handle = session.client.workflow.getHandle(run.workflowId, run.runId);
    return await session.ask(() => handle.query<RunProgress>('progress'), QUERY_MS);
  } catch {
    return undefined;
  }
}

/** The line for the terminal: bytes of all steps that go on now, together. */
export function viewOf(workflowId: string, state: RunState, progress: RunProgress | undefined): ProgressView {
  const beats = state.steps.map((step) => step.heartbeat);
  const doneBytes = total(beats.map((beat) => beat.doneBytes));
  const totalBytes = total(beats.map((beat) => beat.totalBytes));
  const retried = state.steps.find((step) => step.lastFailure !== undefined);
  const note = retried
    ? `attempt ${retried.attempt}: ${retried.lastFailure}`
    : beats.find((beat) => beat.note !== undefined)?.note;
  return {
    run: workflowId,
    step: progress?.step ?? beats.find((beat) => beat.phase)?.phase ?? state.steps[0]?.activity ?? 'waiting',
    ...(doneBytes === undefined ? {} : { doneBytes }),
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...(note === undefined ? {} : { note }),
  };
}

function total(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0);
}
