import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { RejoinOrder, RejoinPreview, RejoinResult } from '../../workflows/model/rejoin.ts';
import { addIdentityOption } from '../identity.ts';
import { addRunOptions, given } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<service>', 'a service of lifeboat.yml with a cluster')
    .argument('<node>', 'the node that was a primary, or its site')
    .option('--dry-run', 'only look, and say by which way it would come back, and why');
  addIdentityOption(command);
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat rejoin web db1 --dry-run', 'as it is, rewound, or as a new copy, and what would be given up'],
    ['lifeboat rejoin web db1', 'make the old primary a standby, as it is, rewound, or as a new copy'],
    ['lifeboat approve rejoin/web', 'what only it has, before it is given up'],
  ]);
  return rejoin;
}

async function rejoin(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownService }, { rejoinLines, rejoinPreviewLines }, { identityOf }, { exitCodeOf }] =
    await Promise.all([
      // prettier-ignore
      import('../run.ts'),
      import('../sources.ts'),
      import('../rejoin-lines.ts'),
      import('../identity.ts'),
      import('../exit-codes.ts'),
    ]);
  const [service = '', node = ''] = call.args;
  const { options } = call;
  const order: RejoinOrder = {
    ...{ service, node, by: identityOf(options) },
    ...given({ dryRun: options['dryRun'] === true ? (true as const) : undefined }),
  };
  return runVerb<RejoinResult | RejoinPreview>(call, {
    request: ({ config }) => {
      const id = workflowId.rejoin(knownService(config, service));
      return {
        ...{ workflow: 'rejoin', order, workflowId: order.dryRun ? `${id}/preview/${node}` : id },
        summary: `rejoin of ${node} to ${service}`,
      };
    },
    answer: (result) => {
      if (!('preview' in result)) return { data: { result }, lines: rejoinLines(result) };
      const exitCode = result.ok ? 0 : exitCodeOf('Precondition');
      return { data: { preview: result }, lines: rejoinPreviewLines(result), exitCode };
    },
  });
}
