import { WorkflowUpdateFailedError } from '@temporalio/client';
import { failure, findFailure, isFailure } from '../workflows/model/failure.ts';
import type { Acknowledged } from '../workflows/model/notice.ts';
import { workflowId } from '../workflows/model/names.ts';
import type { Session } from './connect.ts';
import { findRun } from './runs.ts';

/** A worker answers an update within moments; without one nobody is heard. */
const UPDATE_MS = 30_000;

/**
 * Acknowledges what a run told, and what it and earlier runs of its id have left open when they ended. NotFound for no such run,
 * Precondition in the words of the runs when nothing of it waits.
 */
export async function acknowledge(session: Session, use: { run: string; by: string }): Promise<Acknowledged> {
  const { run, by } = use;
  const heard: Acknowledged[] = [];
  const said: string[] = [];
  for (const id of [run, workflowId.notices(run)]) {
    const answer = await tell(session, id, by);
    if (typeof answer !== 'string') heard.push(answer);
    else if (answer !== '') said.push(answer);
  }
  const [first] = heard;
  if (first) return { ...first, titles: heard.flatMap(({ titles }) => titles) };
  // Says that there is none, where there is none.
  const { status } = await findRun(session, run);
  throw failure('Precondition', `run ${run} has told nothing that waits to be acknowledged`, {
    place: run,
    expected: 'a message that nobody has acknowledged, and that is not over',
    found: said.at(-1) ?? `the run is ${status.toLowerCase()}, and has left nothing`,
    hint: `lifeboat status ${run}`,
  });
}

/** What was acknowledged, or why nothing was; empty where nothing runs. */
async function tell(session: Session, id: string, by: string): Promise<Acknowledged | string> {
  try {
    const { status, runId } = await findRun(session, id);
    if (status !== 'RUNNING') return '';
    const handle = session.client.workflow.getHandle(id, runId);
    return await session.ask(() => handle.executeUpdate<Acknowledged, [object]>('ack', { args: [{ by }] }), UPDATE_MS);
  } catch (error) {
    if (isFailure(error, 'NotFound')) return '';
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
    return findFailure(error)?.message.replace(/ \(hint: .*\)$/, '') ?? String(error.cause);
  }
}
