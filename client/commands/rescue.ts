import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { RescueOrder, RescueResult } from '../../workflows/model/rescue.ts';
import { addIdentityOption } from '../identity.ts';
import { addRunOptions, collect, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import { addTargetOptions } from '../target-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml')
    .requiredOption('--only-database <name>', 'the database that has the tables')
    .requiredOption('--table <name>', 'NAME or SCHEMA.NAME, with a primary key; may be repeated', collect, []);
  addTargetOptions(command);
  command
    .option('--where <sql>', 'only rows of the copy for which this is true, like "customer = 7"')
    .option('--overwrite', 'rows that are there and differ get the values of the copy, too')
    .option('--compare-only', 'show what differs, and write nothing')
    .option('--timeline <timeline>', 'latest (default), current, or a number')
    .option('--into <dir>', 'absolute folder of the copy (default: a new one in the scratch folder)')
    .option('--port <port>', 'of the copy (default: a free one)')
    .option('--point <point>', 'from this recovery point rather than the best one')
    .option('--host <host>', 'on the worker of this host');
  addIdentityOption(command);
  addRunOptions(command);
  addExamples(command, [
    [
      'lifeboat rescue shop --to-time 2026-03-01T11:59:59+01:00 --only-database crm --table public.orders',
      'rows that are gone since then: shown, approved, inserted',
    ],
    [
      'lifeboat rescue shop --to-xid 7442 --exclusive --only-database crm --table orders --where "customer = 7" --overwrite',
      'those of one customer as they were before a transaction',
    ],
    ['lifeboat approve rescue/shop', 'what it waits for, and how to approve it'],
  ]);
  return rescue;
}

async function rescue(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownSource }, { rescueLines }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../rescue-lines.ts'),
  ]);
  const [source = ''] = call.args;
  const order = await orderOf(source, call);
  return runVerb<RescueResult>(call, {
    request: ({ config }) => ({
      ...{ workflow: 'rescue', order, workflowId: workflowId.rescue(knownSource(config, source)) },
      summary: `rescue rows of ${source}`,
    }),
    answer: (result) => ({ data: { result }, lines: rescueLines(result) }),
  });
}

async function orderOf(source: string, { options }: Call): Promise<RescueOrder> {
  const [{ targetOf, timelineOf, folderOf, portOf }, { identityOf }] = await Promise.all([
    import('../target-flags.ts'),
    import('../identity.ts'),
  ]);
  const text = (name: string): string | undefined => options[name] as string | undefined;
  const flag = (name: string): true | undefined => (options[name] === true ? true : undefined);
  const tables = options['table'] as string[];
  if (tables.length === 0) throw new Stop('Usage', 'option --table is missing', { hint: 'lifeboat rescue --help' });
  return {
    ...{ source, by: identityOf(options), onlyDatabase: text('onlyDatabase') ?? '', tables },
    ...given({
      target: targetOf(options),
      where: text('where'),
      overwrite: flag('overwrite'),
      compareOnly: flag('compareOnly'),
      timeline: timelineOf(options['timeline']),
      into: folderOf(options['into'], '--into'),
      port: portOf(options['port']),
      point: text('point')?.split('/').at(-1),
      host: text('host'),
    }),
  };
}
