import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { RecoverOrder, Scenario } from '../../workflows/model/orders.ts';
import { FORENSICS, SCENARIOS } from '../../workflows/model/orders.ts';
import type { RecoverResult } from '../../workflows/model/results.ts';
import { addIdentityOption } from '../identity.ts';
import { addRunOptions, collect, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import { addTargetOptions } from '../target-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml')
    .requiredOption('--scenario <scenario>', `what has happened: ${SCENARIOS.join(', ')}`);
  addTargetOptions(command);
  command
    .option('--service <service>', 'whose traffic moves, where several services stand on the source')
    .option('--timeline <timeline>', 'latest (default), current, or a number')
    .option('--into <dir>', 'absolute folder on the restoring host (default: a new one in the scratch folder)')
    .option('--port <port>', 'of the recovered server (default: a free one)')
    .option('--replace', 'allow --into to hold something: it is renamed, never deleted')
    .option('--tablespace <old=new>', 'new place of a tablespace, by oid or old path; may be repeated', collect, [])
    .option('--point <point>', 'recover from this recovery point rather than the best one')
    .option('--host <host>', 'recover on the worker of this host')
    .option(
      '--must-hold <sql>',
      'a query that must answer true in the recovered cluster; may be repeated',
      collect,
      [],
    );
  command
    .option(
      '--forensic <what>',
      'corruption: how the damaged state is kept first: backup by its server (default while that answers), files of a server that is down, none',
    )
    .option('--forensic-dir <dir>', 'data directory of the server that is down (default: files.dataDirectory)')
    .option('--forensic-host <host>', 'worker on the host of the server that is down');
  addIdentityOption(command);
  addRunOptions(command);
  addExamples(command, [
    [
      'lifeboat recover shop --scenario recent-loss --to-time 2026-03-01T11:59:59+01:00',
      'stop traffic, recover to the moment before, wait for approval, serve',
    ],
    [
      'lifeboat recover shop --scenario corruption --must-hold "select count(*) > 1000 from orders"',
      'look backwards for the last moment where that is true',
    ],
    [
      'lifeboat recover shop --scenario corruption --forensic-host db1 --forensic-dir /var/lib/postgresql/18/main',
      'the server is down: its files are copied first, by the worker on its host',
    ],
    ['lifeboat recover shop --scenario complete-loss --host db2 --port 5432', 'the newest moment, traffic by steps'],
    ['lifeboat approve recover/shop', 'what it waits for, and how to approve it'],
  ]);
  return recover;
}

async function recover(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownSource }, { recoverLines }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../recover-lines.ts'),
  ]);
  const [source = ''] = call.args;
  const order = await orderOf(source, call);
  return runVerb<RecoverResult>(call, {
    request: ({ config }) => ({
      ...{ workflow: 'recover', order, workflowId: workflowId.recover(knownSource(config, source)) },
      summary: `recover ${source}: ${order.scenario}`,
    }),
    answer: (result) => ({ data: { result }, lines: recoverLines(result) }),
  });
}

async function orderOf(source: string, { options }: Call): Promise<RecoverOrder> {
  const [{ targetOf, timelineOf, folderOf, portOf, tablespacesOf }, { identityOf }] = await Promise.all([
    import('../target-flags.ts'),
    import('../identity.ts'),
  ]);
  const text = (name: string): string | undefined => options[name] as string | undefined;
  const mustHold = options['mustHold'] as string[];
  const order: RecoverOrder = {
    ...{ source, scenario: scenarioOf(text('scenario')), by: identityOf(options) },
    ...given({
      target: targetOf(options),
      service: text('service'),
      timeline: timelineOf(options['timeline']),
      into: folderOf(options['into'], '--into'),
      port: portOf(options['port']),
      replace: options['replace'] === true ? (true as const) : undefined,
      tablespaces: tablespacesOf(options['tablespace'] as string[]),
      point: text('point')?.split('/').at(-1),
      host: text('host'),
      forensic: forensicOf(text('forensic')),
      forensicDirectory: folderOf(options['forensicDir'], '--forensic-dir'),
      forensicHost: text('forensicHost'),
      mustHold: mustHold.length > 0 ? mustHold : undefined,
    }),
  };
  if (order.scenario !== 'recent-loss' || order.target) return order;
  throw new Stop('Usage', '--scenario recent-loss needs the moment before the loss', {
    hint: `lifeboat recover ${source} --scenario recent-loss --to-time 2026-03-01T11:59:59+01:00`,
  });
}

function forensicOf(text: string | undefined): RecoverOrder['forensic'] {
  if (text === undefined) return undefined;
  const found = FORENSICS.find((each) => each === text);
  if (found) return found;
  throw new Stop('Usage', `option --forensic is ${FORENSICS.join(', ')}, not "${text}"`, {
    hint: 'lifeboat recover --help',
  });
}

function scenarioOf(text: string | undefined): Scenario {
  const found = SCENARIOS.find((each) => each === text);
  if (found) return found;
  throw new Stop('Usage', `option --scenario is ${SCENARIOS.join(', ')}, not "${text}"`, {
    hint: 'lifeboat recover --help',
  });
}
