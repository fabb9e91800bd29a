import type { Command } from 'commander';
import type { SourcePoints } from '../../workflows/model/results.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import { tableLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('[source]', 'a source of lifeboat.yml; without it: all of them');
  addExamples(command, [
    ['lifeboat list', 'every recovery point, oldest first'],
    ['lifeboat list shop --json', 'those of one source, for a program'],
  ]);
  return list;
}

async function list(call: Call): Promise<Outcome> {
  const [{ openSession }, { inspect }, { knownSource }] = await Promise.all([
    import('../connect.ts'),
    import('../inspect.ts'),
    import('../sources.ts'),
  ]);
  await using session = await openSession(call);
  const [source] = call.args;
  const named = source === undefined ? {} : { source: knownSource(session.config, source) };
  const { sources } = await inspect(session, { what: 'points', ...named }, call);
  return { data: { sources }, lines: pointsTable(sources) };
}

function pointsTable(sources: readonly SourcePoints[]): string[] {
  const rows = sources
    .flatMap(({ points, forensic = [] }) => [...points, ...forensic])
    .map((point) => [
      point.source,
      point.point,
      point.dump ? 'dump' : point.forensic ? 'forensic copy' : point.kind,
      point.forensic ? 'no backup' : point.stoppedAt,
      formatBytes(point.bytes),
      formatBytes(point.storedBytes),
      String(point.timeline),
      point.parent ?? '',
    ]);
  const table =
    rows.length === 0
      ? ['no recovery points yet; take one: lifeboat backup SOURCE']
      : tableLines(['SOURCE', 'POINT', 'KIND', 'REACHES FROM', 'SIZE', 'STORED', 'TIMELINE', 'STANDS ON'], rows);
  const damaged = sources.flatMap(({ source, damaged }) =>
    damaged.map(({ point, reason }) => `damaged: ${source}/${point}: ${reason}`),
  );
  const pages = sources.flatMap(({ points, forensic = [] }) =>
    [...points, ...forensic].flatMap(({ source, point, damaged: wrong }) =>
      wrong ? [`damaged pages: ${source}/${point}: ${wrong.pages}, the first ${wrong.first[0]}`] : [],
    ),
  );
  return [...table, ...damaged, ...pages];
}
