import type { Command } from 'commander';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.option('--no-secrets', 'check the file only: this host need not have the secrets and keys');
  addExamples(command, [
    ['lifeboat config check', 'every problem at once, with line and column'],
    ['lifeboat config check --config prod.yml --no-secrets', 'in a build, where the secrets are not'],
  ]);
  return check;
}

async function check({ options, configPath, host }: Call): Promise<Outcome> {
  const { checkConfig, loadConfig, loadKeys } = await import('../../activities/config/index.ts');
  const query = { path: configPath, environment: host.environment };
  const full = options['secrets'] !== false;
  const config = full ? checkConfig(query) : loadConfig(query);
  if (full) await loadKeys(config);
  const counts = { sources: Object.keys(config.sources).length, stores: Object.keys(config.stores).length };
  const checked = full ? ', every secret and key is there' : ', secrets and keys were not looked at';
  return {
    data: { path: config.path, name: config.name, ...counts, secretsChecked: full },
    lines: [`${config.path} is good: ${counts.sources} sources, ${counts.stores} stores${checked}`],
  };
}
