import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { DrillOrder } from '../../workflows/model/orders.ts';
import type { DrillResult } from '../../workflows/model/results.ts';
import { addRunOptions, given } from '../run-options.ts';
import { addTargetOptions } from '../target-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<source>', 'a source of lifeboat.yml');
  addTargetOptions(command);
  command.option('--host <host>', 'restore on the worker of this host');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat drill shop', 'to a random moment that can be reached; measures RTO and RPO, then removes the copy'],
    ['lifeboat drill shop --to-latest --json', 'the worst case of the day, for a program'],
  ]);
  return drill;
}

async function drill(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownSource }, { targetOf }, { drillLines }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../target-flags.ts'),
    import('../restore-lines.ts'),
  ]);
  const [source = ''] = call.args;
  const target = targetOf(call.options);
  return runVerb<DrillResult>(call, {
    request: ({ config }) => ({
      workflow: 'drill',
      workflowId: workflowId.drill(source),
      order: {
        source: knownSource(config, source),
        ...given({ target, host: call.options['host'] as string | undefined }),
      } satisfies DrillOrder,
      summary: `drill ${source}`,
    }),
    answer: (result) => ({ data: { result }, lines: drillLines(result) }),
  });
}
