import type { Command } from 'commander';
import type { Acknowledged } from '../../workflows/model/notice.ts';
import { addIdentityOption } from '../identity.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<run>', 'workflow id of a run that has told people, like backup/shop; it may have ended');
  addIdentityOption(command);
  addExamples(command, [
    ['lifeboat ack backup/shop', 'you are at it: nobody else is called, and who was told hears so'],
    ['lifeboat ack wal/shop --as anna', 'the same in the name of somebody else'],
  ]);
  return ack;
}

async function ack(call: Call): Promise<Outcome> {
  const [{ openSession }, { acknowledge }, { identityOf }] = await Promise.all([
    import('../connect.ts'),
    import('../acknowledge.ts'),
    import('../identity.ts'),
  ]);
  const [run = ''] = call.args;
  const by = identityOf(call.options);
  await using session = await openSession(call);
  const heard: Acknowledged = await acknowledge(session, { run, by });
  return {
    data: { workflowId: run, ...heard },
    lines: [`${by} acknowledges ${run}:`, ...heard.titles.map((title) => `  ${title}`)],
  };
}
