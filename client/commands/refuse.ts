import type { Command } from 'commander';
import { addIdentityOption } from '../identity.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<run>', 'workflow id of a run that waits, like recover/shop')
    .requiredOption('--reason <reason>', 'why; it stands in the run and in its report');
  addIdentityOption(command);
  addExamples(command, [
    ['lifeboat refuse recover/shop --reason "the loss is smaller than this"', 'traffic is put back as it was'],
  ]);
  return refuse;
}

async function refuse(call: Call): Promise<Outcome> {
  const [{ openSession }, { waitingFor, say }, { identityOf }] = await Promise.all([
    import('../connect.ts'),
    import('../approval.ts'),
    import('../identity.ts'),
  ]);
  const [run = ''] = call.args;
  const by = identityOf(call.options);
  const reason = String(call.options['reason']);
  await using session = await openSession(call);
  const waiting = await waitingFor(session, run);
  await say<void>(session, waiting, { name: 'refuse', message: { by, reason } });
  return { data: { workflowId: run, by, reason }, lines: [`${by} refuses ${run}; it takes back what it did`] };
}
