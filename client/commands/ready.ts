import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { ReadyOrder } from '../../workflows/model/orders.ts';
import type { Readiness } from '../../workflows/model/readiness.ts';
import { given } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<service>', 'a service of lifeboat.yml with a cluster')
    .option('--to <site>', 'site, or name of the node, that would become the primary (default: its standby)');
  addExamples(command, [
    ['lifeboat ready web', 'every check of a failover, and of the day before one; nothing is changed'],
    ['lifeboat ready web --to west --json', 'the same for a monitor; the exit code is 5 when it is not ready'],
  ]);
  return ready;
}

async function ready(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownService }, { exitCodeOf }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../exit-codes.ts'),
  ]);
  const [service = ''] = call.args;
  const to = call.options['to'] as string | undefined;
  const order: ReadyOrder = { service, ...given({ to }) };
  return runVerb<Readiness>(call, {
    request: ({ config }) => ({
      ...{ workflow: 'ready', order, question: true, summary: `is ${service} ready to be failed over` },
      workflowId: workflowId.ready(knownService(config, service)) + (to === undefined ? '' : `/${to}`),
    }),
    answer: (readiness) => ({
      data: { readiness },
      lines: readyLines(readiness),
      exitCode: readiness.ok ? 0 : exitCodeOf('Precondition'),
    }),
  });
}

function readyLines({ service, ok, from, to, checks }: Readiness): string[] {
  const way = `from ${from ?? 'nobody'} to ${to}`;
  return [
    `${service} ${ok ? 'is ready' : 'is NOT ready'} to be failed over ${way}`,
    ...checks.flatMap((check) =>
      check.ok
        ? [`  ok    ${check.name}: ${check.found}`]
        : [`  NOT   ${check.name}: ${check.found}, expected ${check.expected}`, `        ${check.hint}`],
    ),
  ];
}
