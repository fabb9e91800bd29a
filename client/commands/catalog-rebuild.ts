import type { Command } from 'commander';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.option('--source <source>', 'only this source');
  addExamples(command, [
    ['lifeboat catalog rebuild', 'after an index was lost: the manifests in the stores are the truth'],
  ]);
  return rebuild;
}

async function rebuild(call: Call): Promise<Outcome> {
  const [{ openSession }, { inspect }, { knownSource }] = await Promise.all([
    import('../connect.ts'),
    import('../inspect.ts'),
    import('../sources.ts'),
  ]);
  await using session = await openSession(call);
  const source = call.options['source'] as string | undefined;
  const named = source === undefined ? {} : { source: knownSource(session.config, source) };
  const { sources } = await inspect(session, { what: 'catalog-rebuild', ...named }, call);
  return {
    data: { sources },
    lines: sources.map(
      (each) => `${each.source}: ${each.points} recovery points, ${each.damaged} damaged, in ${each.key}`,
    ),
  };
}
