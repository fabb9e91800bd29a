import type { Command } from 'commander';
import type { ExtractResult } from '../../workflows/model/contents.ts';
import { extractedText } from '../../workflows/model/contents.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { ExtractOrder } from '../../workflows/model/orders.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import type { Session } from '../connect.ts';
import { addRunOptions, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<point>', 'POINT, or SOURCE/POINT')
    .option('--file <path>', 'one file, as lifeboat contents shows it')
    .option('--relation <name>', 'one table or index, as database.schema.name: all its segments and forks')
    .option('--all', 'everything, of a forensic copy')
    .option('--to <path>', 'absolute; a file that is not there yet, or for a relation or everything a folder')
    .option('--host <host>', 'take it to the worker of this host');
  addRunOptions(command);
  addExamples(command, [
    [
      'lifeboat extract shop/20260301T020000Z-1a2b3c4d-1 --file postgresql.conf --to /srv/postgresql.conf',
      'one file, and no more of the backup than it takes',
    ],
    [
      'lifeboat extract shop/20260301T020000Z-1a2b3c4d-1 --relation shop.public.orders --to /srv/orders',
      'the files of a table, for pg_filedump and the like',
    ],
    [
      'lifeboat extract shop/20260301T020000Z-1a2b3c4d-1 --all --to /srv/forensic',
      'the files of a server that was down, as they were found',
    ],
  ]);
  return extract;
}

async function extract(call: Call): Promise<Outcome> {
  const { runVerb } = await import('../run.ts');
  return runVerb<ExtractResult>(call, {
    request: async (session) => {
      const order = await orderFor(session, call);
      return {
        workflow: 'extract',
        workflowId: workflowId.extract(order.source, order.point),
        order,
        summary: `take ${extractedText(order)} out of ${order.source}/${order.point}`,
      };
    },
    answer: (result) => ({
      data: { extracted: result },
      lines: [
        `${result.plan.to} on host ${result.plan.host}: ${result.files} files, from ${result.parts} parts ` +
          `(${formatBytes(result.storedBytes)}); every byte was checked`,
      ],
    }),
  });
}

async function orderFor(session: Session, call: Call): Promise<ExtractOrder> {
  const [{ inspect }, { checkedPointName }, { folderOf }] = await Promise.all([
    import('../inspect.ts'),
    import('../points.ts'),
    import('../target-flags.ts'),
  ]);
  const { file, relation, host } = call.options as Record<string, string | undefined>;
  const all = call.options['all'] === true ? (true as const) : undefined;
  if ([file, relation, all].filter((what) => what !== undefined).length !== 1)
    throw new Stop('Usage', 'one of --file, --relation and --all is needed', { hint: 'lifeboat extract --help' });
  const to = folderOf(call.options['to'], '--to');
  if (to === undefined) throw new Stop('Usage', 'option --to is needed', { hint: '--to /srv/NAME' });
  const name = checkedPointName(session, call.args[0] ?? '');
  // A point without its source is looked up: point ids are unique within a source only.
  const source =
    name.source ?? (await inspect(session, { what: 'point', point: name.point }, call)).point.summary.source;
  return { source, point: name.point, to, ...given({ file, relation, all, host }) };
}
