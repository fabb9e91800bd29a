import type { Command } from 'commander';
import { forecastText } from '../../workflows/model/forecast.ts';
import type { PointKind } from '../../workflows/model/manifest.ts';
import { POINT_KINDS } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { BackupOrder } from '../../workflows/model/orders.ts';
import type { BackupResult } from '../../workflows/model/results.ts';
import { addRunOptions, given } from '../run-options.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<source>', 'a source of lifeboat.yml')
    .option(
      '--type <kind>',
      'full (default), incremental or differential: what changed since the newest point, or full point',
    )
    .option('--label <text>', 'free text kept with the point')
    .option('--checkpoint <kind>', 'fast, or spread to load the server less (default: as configured)');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat backup shop', 'start a full backup, or join the one that is running, and follow it'],
    [
      'lifeboat backup shop --type incremental',
      'only what changed since the newest point (PostgreSQL 17, summarize_wal)',
    ],
    ['lifeboat backup shop --label "before migration" --detach', 'start it and come back at once'],
  ]);
  return backup;
}

async function backup(call: Call): Promise<Outcome> {
  const [source = ''] = call.args;
  const checkpoint = checkpointOf(call.options['checkpoint']);
  const type = typeOf(call.options['type']);
  const [{ runVerb }, { knownSource }, { pointLines }] = await Promise.all([
    import('../run.ts'),
    import('../sources.ts'),
    import('../points.ts'),
  ]);
  return runVerb<BackupResult>(call, {
    request: ({ config }) => ({
      workflow: 'backup',
      workflowId: workflowId.backup(source),
      order: {
        source: knownSource(config, source),
        ...given({ label: call.options['label'] as string | undefined, checkpoint, type }),
      } satisfies BackupOrder,
      summary: `back up ${source}`,
    }),
    answer: (point) => ({
      data: { point },
      lines: [
        ...pointLines(point),
        ...(point.damaged
          ? [`DAMAGED: ${point.damaged.pages} pages on the source: ${point.damaged.first.join(', ')}`]
          : []),
        ...(point.fallback === undefined ? [] : [`note: a full backup was taken instead: ${point.fallback}`]),
        ...(point.forecast ? [`a restore will take ${forecastText(point.forecast)}; ${point.forecast.says}`] : []),
        `next: lifeboat verify ${point.source}/${point.point}, or lifeboat drill ${point.source}`,
      ],
    }),
  });
}

function typeOf(text: unknown): PointKind | undefined {
  const kind = POINT_KINDS.find((each) => each === text);
  // The default is left out: the same command twice is one run, whoever spells it out.
  if (text === undefined || kind !== undefined) return kind === 'full' ? undefined : kind;
  throw new Stop('Usage', `option --type is ${POINT_KINDS.join(', ')}, not "${String(text)}"`, {
    hint: 'lifeboat backup --help',
  });
}

function checkpointOf(text: unknown): 'fast' | 'spread' | undefined {
  if (text === undefined || text === 'fast' || text === 'spread') return text;
  throw new Stop('Usage', `option --checkpoint is fast or spread, not "${String(text)}"`, {
    hint: 'lifeboat backup --help',
  });
}
