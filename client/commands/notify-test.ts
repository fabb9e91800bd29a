import type { Command } from 'commander';
import type { NotifierTrial } from '../../workflows/model/results.ts';
import { exitCodeOf } from '../exit-codes.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('[notifier]', 'a notifier of lifeboat.yml; without it: all of them');
  addExamples(command, [
    [
      'lifeboat notify test',
      'a message to each notifier, which is taken back at once; says who was told and who failed',
    ],
    ['lifeboat notify test pager', 'to this one; the exit code is that of the first failure'],
  ]);
  return notifyTest;
}

async function notifyTest(call: Call): Promise<Outcome> {
  const [notifier] = call.args;
  const [{ openSession }, { inspect }] = await Promise.all([import('../connect.ts'), import('../inspect.ts')]);
  await using session = await openSession(call);
  const order = { what: 'notifiers', ...(notifier === undefined ? {} : { notifier }) } as const;
  const { host, trials } = await inspect(session, order, call);
  const [first] = trials.flatMap(({ failed }) => (failed ? [failed] : []));
  return {
    data: { host, trials },
    lines: trials.flatMap(linesOf),
    ...(first ? { exitCode: exitCodeOf(first.type) } : {}),
  };
}

function linesOf({ name, kind, whom, failed }: NotifierTrial): string[] {
  const what = `${name} (${kind}, ${whom})`;
  if (!failed) return [`told    ${what}`];
  const { message, hint } = failed;
  const suffix = hint === undefined ? '' : ` (hint: ${hint})`;
  const said = suffix !== '' && message.endsWith(suffix) ? message.slice(0, -suffix.length) : message;
  return [`FAILED  ${what}: ${said}`, ...(hint === undefined ? [] : [`        mend: ${hint}`])];
}
