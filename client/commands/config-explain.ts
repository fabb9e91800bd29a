import type { Command } from 'commander';
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
  const rows = shown.map((row) => [row.path, row.value, row.from]);
  return { data: { values: shown }, lines: tableLines(['KEY', 'VALUE', 'FROM'], rows) };
}
