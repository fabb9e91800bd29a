import type { Command } from 'commander';
import { holdRun } from '../hold-run.ts';
import { addRunOptions } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<point>', 'POINT, or SOURCE/POINT');
  addRunOptions(command);
  addExamples(command, [
    ['lifeboat release shop/20260301T020000Z-1a2b3c4d-1', 'from now on the rules of its source decide about it'],
  ]);
  return release;
}

function release(call: Call): Promise<Outcome> {
  return holdRun(call, { release: true }, ({ source, point }) => [`${source}/${point} is not held any more`]);
}
