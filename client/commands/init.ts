import type { Command } from 'commander';
import { relative } from 'node:path';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.option('--dir <folder>', 'where to write lifeboat.yml and keys/', '.');
  addExamples(command, [
    ['lifeboat init', 'in the working directory'],
    ['lifeboat init --dir /etc/lifeboat', 'somewhere else; nothing that exists is overwritten'],
  ]);
  return init;
}

async function init({ options }: Call): Promise<Outcome> {
  const { initialise } = await import('../../activities/config/init.ts');
  const made = await initialise(String(options['dir']));
  const shown = (path: string): string => relative('.', path) || path;
  return {
    data: { ...made },
    lines: [
      `wrote ${shown(made.config)} and new keys in ${shown(made.keys)}/`,
      '',
      `MOVE THIS FILE OFFLINE NOW: ${made.recoveryPrivate}`,
      '  It opens every backup when root.key is lost. No worker needs it and none may keep it:',
      '  copy it to two places that are not on this network, then delete it here.',
      '',
      `next: edit ${shown(made.config)}, then: lifeboat config check`,
    ],
  };
}
