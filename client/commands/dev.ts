import type { Command } from 'commander';
import { Option } from 'commander';
import type { DevStack } from '../../workers/dev/stack/dev.ts';
import { failure } from '../../workflows/model/failure.ts';
import { Stop } from '../stop.ts';
import { pairLines } from '../table.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .option('--dir <folder>', 'data, lifeboat.yml, keys and logs; kept between runs', './lifeboat-dev')
    .addOption(
      new Option('--ports <which>', 'those of temporal-dev.yml, or any free ones')
        .choices(['fixed', 'free'])
        .default('fixed'),
    );
  addExamples(command, [
    ['lifeboat dev', 'Temporal with its UI, PostgreSQL and a worker until Ctrl-C; Docker is not needed'],
    ['lifeboat dev --ports free', 'beside other servers on this machine'],
  ]);
  return dev;
}

async function dev({ host, out, options }: Call): Promise<Outcome> {
  const { startDevStack } = await import('../../workers/dev/stack/dev.ts');
  const dir = String(options['dir']);
  await using stack = await startDevStack({
    dir,
    ports: options['ports'] === 'free' ? 'free' : 'fixed',
    log: (line) => out.remark(line),
    signal: host.interrupted,
  }).catch((error: unknown) => {
    // By now everything that had been started is gone.
    throw host.interrupted.aborted ? new Stop('Interrupted', 'interrupted while starting') : error;
  });
  for (const line of greeting(stack)) out.remark(line);
  const ended = await firstOf(stack, host.interrupted);
  if (ended) {
    throw failure('Unavailable', `${ended.name} ended by itself`, {
      place: ended.logFile,
      expected: 'a running process',
      found: 'none',
      hint: `look into its log: tail ${ended.logFile}`,
    });
  }
  out.remark('ending worker, PostgreSQL and Temporal ...');
  const { config, temporal, postgres } = stack;
  return {
    data: { dir: stack.dir, config, temporal: temporal.address, ui: temporal.ui, postgres: postgres.url },
    lines: [`ended; everything is kept in ${stack.dir}, start again with: lifeboat dev --dir ${dir}`],
  };
}

/** The process that ended by itself; undefined after Ctrl-C. */
function firstOf(stack: DevStack, signal: AbortSignal): Promise<{ name: string; logFile: string } | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
    void stack.ended.then(resolve);
  });
}

function greeting({ temporal, postgres, config, source, logs }: DevStack): string[] {
  const facts: [string, string][] = [
    ['Temporal', temporal.address],
    ['Temporal UI', temporal.ui],
    ['PostgreSQL', postgres.url],
    ['lifeboat.yml', config],
    ['logs', logs],
  ];
  return [
    ...pairLines(facts),
    '',
    'try, in another terminal:',
    `  export LIFEBOAT_CONFIG=${config}`,
    '  lifeboat doctor',
    `  lifeboat backup ${source}`,
    `  lifeboat wal ${source}`,
    `  lifeboat restore ${source} --to-latest --preview`,
    `  lifeboat drill ${source}`,
    '',
    'Ctrl-C ends all of it; the folder stays.',
  ];
}
