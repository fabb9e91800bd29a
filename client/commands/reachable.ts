import type { Command } from 'commander';
import type { CopyReach, TimelineReach } from '../../workflows/model/reachable-map.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import { tableLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<source>', 'a source of lifeboat.yml');
  addExamples(command, [
    ['lifeboat reachable shop', 'moments and positions that a restore can reach now, timeline by timeline'],
    ['lifeboat reachable shop --json', 'the same as data, with bases, holes and damaged points'],
  ]);
  return reachable;
}

async function reachable(call: Call): Promise<Outcome> {
  const [{ openSession }, { inspect }, { knownSource }] = await Promise.all([
    import('../connect.ts'),
    import('../inspect.ts'),
    import('../sources.ts'),
  ]);
  await using session = await openSession(call);
  const source = knownSource(session.config, call.args[0] ?? '');
  const { copies } = await inspect(session, { what: 'reachable', source }, call);
  return { data: { source, copies }, lines: copies.flatMap(copyLines) };
}

function copyLines(reach: CopyReach): string[] {
  const rows = reach.timelines.flatMap(timelineRows);
  if (rows.length === 0) return [`copy ${reach.copy}: nothing can be restored from it`, ...faultLines(reach)];
  return [
    `copy ${reach.copy}`,
    ...tableLines(['TIMELINE', 'FROM', 'TO (BEFORE IT)', 'FROM LSN', 'TO LSN (BEFORE IT)'], rows),
    ...faultLines(reach),
  ];
}

function timelineRows({ timeline, isDefault, parent, times, positions }: TimelineReach): string[][] {
  const from = parent ? `, left ${parent.timeline} at ${parent.switchLsn}` : '';
  const name = `${timeline}${isDefault ? ' (default)' : ''}${from}`;
  return Array.from({ length: Math.max(times.length, positions.length) }, (_, index) => [
    index === 0 ? name : '',
    times[index]?.from ?? '',
    times[index]?.to ?? '',
    positions[index]?.fromLsn ?? '',
    positions[index]?.toLsn ?? '',
  ]);
}

function faultLines({ bases, holes, damaged }: CopyReach): string[] {
  return [
    ...holes.map(
      ({ timeline, fromLsn, toLsn, bytes, after }) =>
        `HOLE on timeline ${timeline}: ${fromLsn} to ${toLsn} (${formatBytes(bytes)})${after === undefined ? '' : `, after ${after}`}`,
    ),
    ...bases.flatMap(({ point, unusable }) => (unusable === undefined ? [] : [`OF NO USE: ${point}: ${unusable}`])),
    ...damaged.map(({ point, reason }) => `DAMAGED: ${point}: ${reason}`),
  ];
}
