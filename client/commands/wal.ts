import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../workflows/model/units.ts';
import type { WalAnswer } from '../../workflows/model/results.ts';
import { windowLines } from '../restore-lines.ts';
import { pairLines, tableLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<source>', 'a source of lifeboat.yml');
  addExamples(command, [
    ['lifeboat wal shop', 'ranges and gaps in the vault; how far it is behind the server in bytes and seconds'],
  ]);
  return wal;
}

async function wal(call: Call): Promise<Outcome> {
  const [{ openSession }, { inspect }, { knownSource }] = await Promise.all([
    import('../connect.ts'),
    import('../inspect.ts'),
    import('../sources.ts'),
  ]);
  await using session = await openSession(call);
  const source = knownSource(session.config, call.args[0] ?? '');
  const { wal: status } = await inspect(session, { what: 'wal', source }, call);
  return {
    data: { wal: status },
    lines: [...rangeLines(status), ...gapLines(status), ...windowLines(status.windows), ...serverLines(status)],
  };
}

function rangeLines({ ranges }: WalAnswer): string[] {
  if (ranges.length === 0) return ['the vault holds no WAL yet'];
  const rows = ranges.map((range) => [
    String(range.timeline),
    range.startLsn,
    range.endLsn,
    range.lastCommitAt ?? '',
    String(range.objects),
    formatBytes(range.storedBytes),
  ]);
  return tableLines(['TIMELINE', 'FROM', 'TO', 'NEWEST COMMIT', 'OBJECTS', 'STORED'], rows);
}

function gapLines({ gaps }: WalAnswer): string[] {
  return gaps.map(
    (gap) =>
      `GAP on timeline ${gap.timeline}: ${gap.fromLsn} to ${gap.toLsn} (${formatBytes(gap.bytes)}): no moment behind it ` +
      'can be reached from a backup before it',
  );
}

function serverLines({ server, unreachable }: WalAnswer): string[] {
  if (!server) return [`the server could not be asked: ${unreachable ?? 'no reason given'}`];
  const age = server.lagMs === undefined ? '' : `, ${formatDuration(server.lagMs)}`;
  return [
    '',
    ...pairLines([
      ['slot', `${server.slot}: ${server.slotState}`],
      ['server', `${server.flushLsn}, timeline ${server.timeline}`],
      ['lag', `${formatBytes(server.lagBytes)}${age}`],
      ['kept by the server for us', formatBytes(server.retainedBytes)],
      ...(server.others ?? []).map(({ slot, slotState, retainedBytes }): [string, string] => [
        'slot of another stream',
        `${slot}: ${slotState}, ${formatBytes(retainedBytes)} kept`,
      ]),
      ...(server.left ?? []).map(({ slot, slotState, retainedBytes }): [string, string] => [
        'SLOT OF NO STREAM',
        `${slot}: ${slotState}, ${formatBytes(retainedBytes)} kept: lifeboat doctor says what to do`,
      ]),
    ]),
  ];
}
