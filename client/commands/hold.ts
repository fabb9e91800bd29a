import type { Command } from 'commander';
import type { HoldResult } from '../../workflows/model/retention-result.ts';
import { holdRun } from '../hold-run.ts';
import { addRunOptions } from '../run-options.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<point>', 'POINT, or SOURCE/POINT')
    .option('--reason <text>', 'why, for whoever asks later; it stands with the point, signed and encrypted');
  addRunOptions(command);
  addExamples(command, [
    [
      'lifeboat hold shop/20260301T020000Z-1a2b3c4d-1 --reason "case 12"',
      'no retention removes it until it is released',
    ],
    ['lifeboat retention shop --dry-run', 'what is kept, and why'],
  ]);
  return hold;
}

async function hold(call: Call): Promise<Outcome> {
  const { reason } = call.options;
  if (typeof reason !== 'string' || reason.trim() === '') {
    throw new Stop('Usage', 'option --reason is missing: a hold says why', { hint: 'lifeboat hold --help' });
  }
  return holdRun(call, { reason }, ({ source, point, held }: HoldResult) => [
    `${source}/${point} is held since ${held?.at ?? ''}: ${held?.reason ?? ''}`,
    `take it back with: lifeboat release ${source}/${point}`,
  ]);
}
