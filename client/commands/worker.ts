import type { Command } from 'commander';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.option('--name <host>', 'name of this host in runs and task queues (default: the host name)');
  addExamples(command, [
    ['lifeboat worker', 'work until SIGTERM; finishes or hands over what is running, a second signal stops at once'],
    ['lifeboat worker --name db1', 'restores that ask for host db1 run here'],
  ]);
  return worker;
}

async function worker(call: Call): Promise<Outcome> {
  const { runWorker } = await import('../../workers/run.ts');
  const name = call.options['name'] as string | undefined;
  await runWorker({ config: call.configPath, ...(name === undefined ? {} : { name }) });
  return {};
}
