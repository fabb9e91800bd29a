import type { Session } from './connect.ts';
import { openSession } from './connect.ts';
import { follow } from './follow.ts';
import type { RunRequest, StartedRun } from './start.ts';
import { startOrJoin } from './start.ts';
import { Stop } from './stop.ts';
import type { Call, Outcome } from './verb.ts';

export interface RunVerb<Result> {
  /** Made after the configuration is loaded, so that names can be checked against it. */
  request(session: Session): RunRequest | Promise<RunRequest>;
  /** The answer when the run has ended well. */
  answer(result: Result, run: StartedRun): Outcome;
}

/** A command that is a run: start or join it, follow it to its end (or not, with --detach), say what came out. */
export async function runVerb<Result>(call: Call, verb: RunVerb<Result>): Promise<Outcome> {
  await using session = await openSession(call);
  const request = await verb.request(session);
  const run = await startOrJoin(session, request).catch((error: unknown) => {
    throw call.host.interrupted.aborted ? leftAtStart(request.workflowId) : error;
  });
  const head = {
    workflowId: run.workflowId,
    runId: run.runId,
    joined: run.joined,
    ...(run.url ? { url: run.url } : {}),
  };
  if (request.question !== true)
    call.out.remark(`${run.joined ? 'joined' : 'started'} ${run.workflowId}${run.url ? `  ${run.url}` : ''}`);
  if (call.options['detach'] === true) {
    return {
      data: head,
      lines: [`${run.workflowId} goes on; come back with: lifeboat status ${run.workflowId} --follow`],
    };
  }
  const result = (await follow(session, { ...run, question: request.question === true }, call)) as Result;
  const { data, ...rest } = verb.answer(result, run);
  return { data: { ...head, ...data }, ...rest };
}

function leftAtStart(workflowId: string): Stop {
  return new Stop('Interrupted', `interrupted while ${workflowId} was started; it may go on`, {
    hint: `lifeboat status ${workflowId}`,
    data: { workflowId },
  });
}
