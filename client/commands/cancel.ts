import type { Command } from 'commander';
import { failure } from '../../workflows/model/failure.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<run>', 'workflow id, like restore/shop; lifeboat status lists them');
  addExamples(command, [
    ['lifeboat cancel drill/shop', 'the run stops at its next step, removes what it made, and ends'],
    ['lifeboat status drill/shop --follow', 'watch it do so'],
  ]);
  return cancel;
}

async function cancel(call: Call): Promise<Outcome> {
  const [{ openSession }, { findRun }] = await Promise.all([import('../connect.ts'), import('../runs.ts')]);
  await using session = await openSession(call);
  const [workflowId = ''] = call.args;
  const run = await findRun(session, workflowId);
  if (run.status !== 'RUNNING') {
    throw failure('Precondition', `run ${workflowId} has ended already`, {
      place: workflowId,
      expected: 'a run that is going on',
      found: `${run.status.toLowerCase()} at ${run.closedAt ?? 'an unknown time'}`,
      hint: `lifeboat status ${workflowId}`,
    });
  }
  await session.ask(() => session.client.workflow.getHandle(workflowId, run.runId).cancel());
  return {
    data: { workflowId, runId: run.runId },
    lines: [`asked ${workflowId} to stop; it cleans up first: lifeboat status ${workflowId} --follow`],
  };
}
