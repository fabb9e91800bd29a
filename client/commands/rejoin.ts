import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { RejoinOrder, RejoinResult } from '../../workflows/model/rejoin.ts';
import { addIdentityOption } from '../identity.ts';
import { addRunOptions } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<service>', 'a service of lifeboat.yml with a cluster')
    .argument('<node>', 'the node that was a primary, or its site');
  addIdentityOption(command);
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat rejoin web db1', 'make the old primary a standby, as it is, rewound, or as a new copy'],
    ['lifeboat approve rejoin/web', 'what only it has, before it is given up'],
  ]);
  return rejoin;
}

async function rejoin(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownService }, { rejoinLines }, { identityOf }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../rejoin-lines.ts'),
    import('../identity.ts'),
  ]);
  const [service = '', node = ''] = call.args;
  const order: RejoinOrder = { service, node, by: identityOf(call.options) };
  return runVerb<RejoinResult>(call, {
    request: ({ config }) => ({
      ...{ workflow: 'rejoin', order, workflowId: workflowId.rejoin(knownService(config, service)) },
      summary: `rejoin of ${node} to ${service}`,
    }),
    answer: (result) => ({ data: { result }, lines: rejoinLines(result) }),
  });
}
