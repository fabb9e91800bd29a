import type { Command } from 'commander';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command.argument('<point>', 'POINT, or SOURCE/POINT');
  addExamples(command, [['lifeboat show shop/20260301T020000Z-1a2b3c4d-1', 'where it came from, how large it is']]);
  return show;
}

async function show(call: Call): Promise<Outcome> {
  const [{ openSession }, { inspect }, { checkedPointName, detailLines }] = await Promise.all([
    import('../connect.ts'),
    import('../inspect.ts'),
    import('../points.ts'),
  ]);
  await using session = await openSession(call);
  const name = checkedPointName(session, call.args[0] ?? '');
  const { point } = await inspect(session, { what: 'point', ...name }, call);
  return { data: { point }, lines: detailLines(point) };
}
