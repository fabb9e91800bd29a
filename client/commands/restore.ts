import type { Command } from 'commander';
import { randomUUID } from 'node:crypto';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreOrder } from '../../workflows/model/orders.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { RestorePreview } from '../../workflows/model/results.ts';
import type { Follow } from '../../workflows/model/standby.ts';
import { FOLLOWS } from '../../workflows/model/standby.ts';
import type { TargetAction } from '../../workflows/model/target.ts';
import { addRunOptions, collect, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import { addTargetOptions } from '../target-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<source>', 'a source of lifeboat.yml');
  addTargetOptions(command);
  command
    .option('--timeline <timeline>', 'latest (default), current, or a number')
    .option('--into <dir>', 'absolute folder on the restoring host (default: a new one in the scratch folder)')
    .option('--port <port>', 'of the recovered server (default: a free one)')
    .option('--action <action>', 'promote (default), pause or shutdown when the target is reached')
    .option('--replace', 'allow --into to hold something: it is renamed, never deleted')
    .option('--in-place', 'use the stopped copy in --into: only what differs is fetched, and it is written over')
    .option('--standby', 'goes on as a standby: it follows the source, and is not promoted')
    .option(
      '--follow <how>',
      'of a standby: streaming (default), with the vault behind it, or archive: the vault alone',
    )
    .option('--from-server <server>', 'of a standby: HOST:PORT of its primary (default: that of the source)')
    .option('--slot <name>', 'of a standby: its replication slot, which is there on the primary')
    .option('--listen <addresses>', 'listen_addresses of the recovered server (default: loopback)')
    .option('--tablespace <old=new>', 'new place of a tablespace, by oid or old path; may be repeated', collect, [])
    .option('--only-database <name>', 'one database: of a dump, or of a cluster, whose others then have no content')
    .option('--only-schema <name>', 'of that database: one schema')
    .option('--only-table <name>', 'of that database: one table, NAME or SCHEMA.NAME')
    .option('--into-database <name>', 'it goes into a new database of the running server, not a cluster of its own')
    .option('--point <point>', 'restore from this recovery point rather than the best one')
    .option('--host <host>', 'restore on the worker of this host')
    .option('--preview', 'only say what would happen: base, WAL, estimate, reachable moments');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat restore shop --to-time 2026-03-01T11:59:59+01:00 --preview', 'what would be done; no byte moves'],
    ['lifeboat restore shop --to-time 2026-03-01T11:59:59+01:00', 'into a new folder and a new server'],
    ['lifeboat restore shop --only-database crm', 'one database of a cluster, and little more than its files'],
    ['lifeboat restore shop --only-database crm --into-database crm_yesterday', 'and into the running server'],
    ['lifeboat restore shop --standby --into /srv/shop --port 5433 --listen "*"', 'as a standby of its primary'],
    [
      'lifeboat restore shop --standby --in-place --into /var/lib/postgresql/18/main --port 5432 --host db1',
      'an old primary that was failed over from becomes a standby of the new one',
    ],
    ['lifeboat restore crm --only-database crm --into-database crm_yesterday', 'a dump, beside what is there'],
    ['lifeboat restore shop --to-xid 7442 --exclusive --into /srv/shop --port 5433', 'just before a transaction'],
  ]);
  return restore;
}

async function restore(call: Call): Promise<Outcome> {
  const [{ runVerb }, { knownSource }, { restoreLines, previewLines }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../restore-lines.ts'),
  ]);
  const [source = ''] = call.args;
  const order = await orderOf(source, call.options);
  const preview = order.preview === true;
  return runVerb<RestoreResult | RestorePreview>(call, {
    request: ({ config }) => {
      const id = workflowId.restore(knownSource(config, source));
      const shared = { workflow: 'restore', order };
      return preview
        ? { ...shared, workflowId: `${id}/preview/${randomUUID()}`, summary: `preview ${source}`, question: true }
        : { ...shared, workflowId: id, summary: `restore ${source}` };
    },
    answer: (result) =>
      'proof' in result
        ? { data: { result }, lines: restoreLines(result) }
        : { data: { ...result }, lines: previewLines(result) },
  });
}

async function orderOf(source: string, options: Call['options']): Promise<RestoreOrder> {
  const { targetOf, timelineOf, folderOf, portOf, tablespacesOf } = await import('../target-flags.ts');
  const text = (name: string): string | undefined => options[name] as string | undefined;
  const flag = (name: string): true | undefined => (options[name] === true ? true : undefined);
  return {
    source,
    ...given({
      target: targetOf(options),
      timeline: timelineOf(options['timeline']),
      action: actionOf(text('action')),
      into: folderOf(options['into'], '--into'),
      port: portOf(options['port']),
      replace: flag('replace'),
      inPlace: flag('inPlace'),
      ...standbyOf(options),
      tablespaces: tablespacesOf(options['tablespace'] as string[]),
      onlyDatabase: text('onlyDatabase'),
      onlySchema: text('onlySchema'),
      onlyTable: text('onlyTable'),
      intoDatabase: text('intoDatabase'),
      point: text('point')?.split('/').at(-1),
      host: text('host'),
      preview: flag('preview'),
    }),
  };
}

function standbyOf(options: Call['options']): Partial<RestoreOrder> {
  const { follow, fromServer, slot, listen } = options as Record<string, string | undefined>;
  return given({
    standby: options['standby'] === true ? true : undefined,
    follow: followOf(follow),
    ...{ fromServer, slot, listen },
  });
}

function followOf(text: string | undefined): Follow | undefined {
  const found = FOLLOWS.find((each) => each === text);
  if (text === undefined || found) return found;
  throw new Stop('Usage', `option --follow is ${FOLLOWS.join(' or ')}, not "${text}"`, {
    hint: 'lifeboat restore --help',
  });
}

function actionOf(text: string | undefined): TargetAction | undefined {
  if (text === undefined || text === 'promote' || text === 'pause' || text === 'shutdown') return text;
  throw new Stop('Usage', `option --action is promote, pause or shutdown, not "${text}"`, {
    hint: 'lifeboat restore --help',
  });
}
