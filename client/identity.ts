import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { Stop } from './stop.ts';
import type { Call } from './verb.ts';

/** Of every command whose author is recorded. */
export function addIdentityOption(command: Command): void {
  command.option('--as <name>', 'who you are (default: your user on this machine); recorded with the run');
}

/** Said, not proven: whoever may talk to Temporal may say any name. */
export function identityOf(options: Call['options']): string {
  const said = options['as'] as string | undefined;
  if (said === undefined) return userInfo().username;
  if (said.trim() !== '' && said.length <= 200) return said.trim();
  throw new Stop('Usage', `option --as is a name of 1 to 200 letters, not "${said.slice(0, 40)}"`, {
    hint: '--as anna',
  });
}
