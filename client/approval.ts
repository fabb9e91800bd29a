import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { PendingApproval } from '../workflows/model/approval.ts';
import { failure, findFailure } from '../workflows/model/failure.ts';
import type { RunProgress } from '../workflows/messages.ts';
import type { Session } from './connect.ts';
import { findRun } from './runs.ts';

/** A worker answers an update within moments; without one nobody is heard. */
const UPDATE_MS = 30_000;

export interface Waiting {
  workflowId: string;
  runId: string;
  pending: PendingApproval;
}

/** The approval that a run waits for. NotFound for no run, Precondition when it waits for none. */
export async function waitingFor(session: Session, workflowId: string): Promise<Waiting> {
  const { status, runId } = await findRun(session, workflowId);
  const handle = session.client.workflow.getHandle(workflowId, runId);
  const progress = status === 'RUNNING' ? await session.ask(() => handle.query<RunProgress>('progress')) : undefined;
  if (progress?.approval) return { workflowId, runId, pending: progress.approval };
  throw failure('Precondition', `run ${workflowId} waits for no approval`, {
    place: workflowId,
    expected: 'a run that asks for one',
    found: progress ? `it is at: ${progress.step}` : `the run is ${status.toLowerCase()}`,
    hint: `lifeboat status ${workflowId}`,
  });
}

/** Says it to the run; what the run refuses to hear is a Precondition in its words, and not its own failure, which knows no place. */
export async function say<T>(
  session: Session,
  { workflowId, runId }: Waiting,
  update: { name: string; message: object },
): Promise<T> {
  const { name, message } = update;
  const handle = session.client.workflow.getHandle(workflowId, runId);
  try {
    return await session.ask(() => handle.executeUpdate<T, [object]>(name, { args: [message] }), UPDATE_MS);
  } catch (error) {
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
    const said = findFailure(error)?.message.replace(/ \(hint: .*\)$/, '') ?? String(error.cause);
    throw failure('Precondition', `run ${workflowId} does not take it: ${said}`, {
      place: workflowId,
      expected: 'a word that counts',
      found: said,
      hint: `lifeboat approve ${workflowId} shows what it waits for`,
    });
  }
}
