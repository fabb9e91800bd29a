import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { FailbackOrder, FailbackPreview, FailbackResult } from '../../workflows/model/rejoin.ts';
import { parseDuration } from '../../workflows/model/units.ts';
import { addIdentityOption } from '../identity.ts';
import { addRunOptions, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<service>', 'a service of lifeboat.yml with a cluster')
    .option('--to <site>', 'site, or name of the node, that becomes the primary (default: the only other one)')
    .option('--soak <time>', 'the standby has to keep up for so long before (default: 10m)')
    .option('--dry-run', 'only look, and say what would be done: the way back, the soak, the switch');
  addIdentityOption(command);
  addRunOptions(command);
  addExamples(command, [
    [
      'lifeboat failback web --dry-run',
      'by which way the old primary would come back, why, and the plan of the switch',
    ],
    ['lifeboat failback web', 'make the old primary a standby, watch it keep up, and switch back'],
    ['lifeboat failback web --soak 1h', 'watch it for an hour before'],
    ['lifeboat approve failover/web', 'the switch itself is a planned failover'],
  ]);
  return failback;
}

async function failback(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownService }, { failbackLines, failbackPreviewLines }, { identityOf }, { exitCodeOf }] =
    await Promise.all([
      // prettier-ignore
      import('../run.ts'),
      import('../sources.ts'),
      import('../rejoin-lines.ts'),
      import('../identity.ts'),
      import('../exit-codes.ts'),
    ]);
  const [service = ''] = call.args;
  const { options } = call;
  const order: FailbackOrder = {
    ...{ service, by: identityOf(options) },
    ...given({ to: options['to'] as string | undefined, soakMs: soakOf(options['soak'] as string | undefined) }),
    ...given({ dryRun: options['dryRun'] === true ? (true as const) : undefined }),
  };
  return runVerb<FailbackResult | FailbackPreview>(call, {
    request: ({ config }) => {
      const id = workflowId.failback(knownService(config, service));
      return {
        ...{ workflow: 'failback', order, workflowId: order.dryRun ? `${id}/preview` : id },
        summary: `failback of ${service}`,
      };
    },
    answer: (result) => {
      if (!('preview' in result)) return { data: { result }, lines: failbackLines(result) };
      const exitCode = result.ok ? 0 : exitCodeOf('Precondition');
      return { data: { preview: result }, lines: failbackPreviewLines(result), exitCode };
    },
  });
}

function soakOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms > 0) return ms;
  throw new Stop('Usage', `option --soak is a time above nothing, not "${text}"`, { hint: 'lifeboat failback --help' });
}
