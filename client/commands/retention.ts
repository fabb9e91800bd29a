import type { Command } from 'commander';
import { workflowId } from '../../workflows/model/names.ts';
import type { RetentionOrder } from '../../workflows/model/orders.ts';
import type { RetentionPreview, RetentionResult } from '../../workflows/model/retention-result.ts';
import { formatBytes } from '../../workflows/model/units.ts';
import { addRunOptions } from '../run-options.ts';
import { tableLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml that has a retention')
    .option('--dry-run', 'remove nothing: show what would go, and why each of the others is kept');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat retention shop --dry-run', 'look first'],
    ['lifeboat retention shop', 'remove what the rules do not keep; schedule.retention does it by the clock'],
  ]);
  return retention;
}

async function retention(call: Call): Promise<Outcome> {
  const [source = ''] = call.args;
  const dryRun = call.options['dryRun'] === true;
  const [{ runVerb }, { knownSource }] = await Promise.all([import('../run.ts'), import('../sources.ts')]);
  return runVerb<RetentionResult>(call, {
    request: ({ config }) => ({
      workflow: 'retention',
      workflowId: `${workflowId.retention(source)}${dryRun ? '/dry-run' : ''}`,
      order: { source: knownSource(config, source), ...(dryRun ? { dryRun } : {}) } satisfies RetentionOrder,
      summary: `${dryRun ? 'what retention would remove' : 'retention'} of ${source}`,
    }),
    answer: (result) => ({ data: { retention: result }, lines: linesOf(result) }),
  });
}

function linesOf(result: RetentionResult): string[] {
  if (result.dryRun) return previewLines(result.preview);
  const { points, wal, preview } = result;
  return [
    ...points.points.map((point) => `removed ${preview.source}/${point}`),
    `removed ${points.count} points and ${wal.objects} objects of WAL (${formatBytes(wal.storedBytes)}); ` +
      `${preview.kept} points are kept`,
    ...[...points.refused, ...wal.refused].map(({ place, reason }) => `REFUSED by the store: ${place}: ${reason}`),
  ];
}

function previewLines({ source, keep, kept, remove, removed, removedBytes, wal }: RetentionPreview): string[] {
  const rows = [
    ...remove.map(({ point, kind, at, storedBytes }) => [point, kind, at, formatBytes(storedBytes), 'GOES', '']),
    ...keep.map(({ point, kind, at, storedBytes, why }) => [
      ...[point, kind, at, formatBytes(storedBytes)],
      ...['stays', why.join('; ')],
    ]),
  ].sort((a, b) => ((a[2] ?? '') < (b[2] ?? '') ? -1 : 1));
  const horizon = wal.keepFrom.map(({ timeline, lsn }) => `${lsn} of timeline ${timeline}`);
  return [
    ...tableLines(['POINT', 'KIND', 'REACHES FROM', 'STORED', '', 'WHY'], rows),
    `of ${source} ${removed} points (${formatBytes(removedBytes)}) and ${wal.objects} objects of WAL ` +
      `(${formatBytes(wal.storedBytes)}) would go, ${kept} points stay`,
    ...(horizon.length > 0 ? [`all WAL is kept from ${horizon.join(', ')} on`] : []),
    'nothing was removed',
  ];
}
