import type { Command } from 'commander';
import type { Explained } from '../../activities/config/index.ts';
import { failure } from '../../workflows/model/failure.ts';
import { nearestName } from '../../workflows/model/nearest.ts';
import { tableLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('[prefix]', 'only values whose path begins with this');
  addExamples(command, [
    ['lifeboat config explain', 'every value, also the defaults; secrets show where they come from, never themselves'],
    ['lifeboat config explain sources.shop.wal', 'one part'],
  ]);
  return explainAll;
}

async function explainAll({ args, configPath, host }: Call): Promise<Outcome> {
  const { explain } = await import('../../activities/config/index.ts');
  const { values } = explain({ path: configPath, environment: host.environment });
  const prefix = args[0] ?? '';
  const shown = values.filter((row) => prefix === '' || row.path === prefix || row.path.startsWith(`${prefix}.`));
  if (shown.length === 0) throw nothingBelow(prefix, values);
  const rows = shown.map((row) => [row.path, row.value, row.from]);
  return { data: { values: shown }, lines: tableLines(['KEY', 'VALUE', 'FROM'], rows) };
}

function nothingBelow(prefix: string, values: readonly Explained[]): Error {
  const depth = prefix.split('.').length;
  const known = [...new Set(values.map((row) => row.path.split('.').slice(0, depth).join('.')))];
  const near = nearestName(prefix, known);
  return failure('NotFound', `the configuration has nothing at ${prefix}`, {
    place: prefix,
    expected: near === undefined ? 'a path as config explain shows them' : `a path; did you mean ${near}?`,
    found: prefix,
    hint: `lifeboat config explain${near === undefined ? '' : ` ${near}`}`,
  });
}
