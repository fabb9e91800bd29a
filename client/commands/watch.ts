import type { Command } from 'commander';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<service>', 'a service of lifeboat.yml with a cluster');
  addExamples(command, [
    ['lifeboat watch web', 'start it, or see that it is there; it goes on by itself until it is cancelled'],
    ['lifeboat status watch/web', 'what it sees'],
    ['lifeboat cancel watch/web', 'end it'],
  ]);
  return watch;
}

async function watch(call: Call): Promise<Outcome> {
  const [{ openSession }, { knownService }, { startStream, watchOf }] = await Promise.all([
    import('../connect.ts'),
    import('../sources.ts'),
    import('../streams.ts'),
  ]);
  await using session = await openSession(call);
  const wanted = watchOf(knownService(session.config, call.args[0] ?? ''));
  const { joined } = await startStream(session, wanted);
  const does = joined ? 'is there already' : 'was started';
  return { data: { workflowId: wanted.id, joined }, lines: [`${wanted.id} ${does}; lifeboat status ${wanted.id}`] };
}
