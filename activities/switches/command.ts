import { z } from 'zod';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../workflows/model/traffic.ts';
import { describeTraffic, parseAddress, trafficProblem } from '../../workflows/model/traffic.ts';
import type { Run } from '../io/run.ts';
import type { ProgramEnd } from '../io/program.ts';
import { programShape, runProgram } from '../io/program.ts';
import { defineSwitch } from './switch.ts';

/**
 * A script of the user's. It is called with `where`, `move` or `confirm` behind its own arguments, gets LIFEBOAT_SWITCH,
 * LIFEBOAT_FROM and LIFEBOAT_TO (traffic as JSON, like {"10.0.0.7:5432":100}, {} for stopped), LIFEBOAT_TO_HOST and
 * LIFEBOAT_TO_PORT where there is one address, LIFEBOAT_TOKEN (decimal), and answers with one JSON object, the last line of its
 * output: where {"traffic":{...},"token":3}, move {"moved":true}, false when it was there already, confirm
 * {"confirmed":true,"found":"..."}. Exit codes: see EXITS; any other, silence and garbage leave the outcome of a move unknown.
 */
const schema = z.strictObject({
  ...programShape,
  /** The script can give an address a share of the traffic. */
  weighted: z.boolean().default(false),
});

type Options = z.infer<typeof schema>;

/** What a script may end with beside 0. In all of these it has changed nothing. */
const EXITS: Record<number, { type: FailureType; says: string; hint: string }> = {
  3: {
    type: 'Precondition',
    says: 'refuses',
    hint: 'somebody else moves traffic: look where it goes, then start again',
  },
  4: { type: 'Denied', says: 'lacks a right', hint: 'give the script what it needs' },
  75: { type: 'Unavailable', says: 'cannot do it now', hint: 'it is tried again by itself' },
};

type Verb = 'where' | 'move' | 'confirm';

export const commandSwitch = defineSwitch<Options>({
  kind: 'command',
  schema,
  describe: ({ run }) => run[0],
  weighted: ({ weighted }) => weighted,
  open: (name, options, run) => {
    const use = { name, options, run };
    return {
      where: () => where(use),
      move: (order) => move(use, order),
      confirm: (to) => confirm(use, to),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
});

interface Use {
  name: string;
  options: Options;
  run: Run;
}

async function where(use: Use): Promise<Observed> {
  const answer = await ask(use, 'where', {});
  const { traffic, token } = answer;
  const problem = trafficProblem(traffic);
  if (problem !== undefined)
    throw garbled(use, 'where', { expected: '{"traffic":{"host:port":100},...}', found: problem });
  if (!Number.isSafeInteger(token) || (token as number) < 0)
    throw garbled(use, 'where', { expected: '"token": a whole number', found: JSON.stringify(token) ?? 'nothing' });
  return { traffic: traffic as Traffic, token: token as number };
}

async function move(use: Use, { from, to, token }: Move): Promise<void> {
  const answer = await ask(use, 'move', {
    LIFEBOAT_FROM: JSON.stringify(from),
    LIFEBOAT_TOKEN: String(token),
    ...toEnvironment(to),
  });
  if (typeof answer['moved'] === 'boolean') return;
  throw garbled(use, 'move', { expected: '{"moved":true}', found: JSON.stringify(answer) });
}

async function confirm(use: Use, to: Traffic): Promise<Confirmation> {
  const { confirmed, found } = await ask(use, 'confirm', toEnvironment(to));
  if (typeof confirmed !== 'boolean')
    throw garbled(use, 'confirm', { expected: '{"confirmed":true}', found: JSON.stringify(confirmed) ?? 'nothing' });
  const text = typeof found === 'string' ? found.slice(0, 300) : `${confirmed ? '' : 'not '}${describeTraffic(to)}`;
  return { ok: confirmed, found: text };
}

function toEnvironment(to: Traffic): Record<string, string> {
  const [only, ...more] = Object.keys(to);
  const address = only !== undefined && more.length === 0 ? parseAddress(only) : undefined;
  return {
    LIFEBOAT_TO: JSON.stringify(to),
    ...(address ? { LIFEBOAT_TO_HOST: address.host, LIFEBOAT_TO_PORT: String(address.port) } : {}),
  };
}

async function ask(use: Use, verb: Verb, environment: Record<string, string>): Promise<Record<string, unknown>> {
  const { name, options, run } = use;
  run.progress({ phase: `${verb} of switch ${name}` });
  const place = `switches.${name}`;
  const end = await runProgram(
    options,
    { args: [verb], environment: { LIFEBOAT_SWITCH: name, ...environment }, place },
    run,
  );
  if (end.timedOut) throw unanswered(use, verb, `no answer within ${end.after}`);
  const known = end.code === undefined ? undefined : EXITS[end.code];
  if (known) throw said(use, verb, { end, known });
  if (end.code !== 0) throw unanswered(use, verb, `exit ${end.code ?? 'by a signal'}: ${lastWords(end)}`);
  return answerOf(use, verb, end.stdout);
}

function answerOf(use: Use, verb: Verb, stdout: string): Record<string, unknown> {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  try {
    const answer: unknown = JSON.parse(line);
    if (typeof answer === 'object' && answer !== null && !Array.isArray(answer))
      return answer as Record<string, unknown>;
  } catch {
    // Told below, as anything else that is no object.
  }
  throw garbled(use, verb, { expected: 'one JSON object as the last line', found: line.slice(0, 200) || 'nothing' });
}

/** What we do not understand of a move may have moved. */
function garbled({ name }: Use, verb: Verb, what: { expected: string; found: string }): Error {
  return failure(
    verb === 'move' ? 'OutcomeUnknown' : 'ConfigInvalid',
    `switch ${name}: its answer to ${verb} is not in its form`,
    {
      place: `switches.${name}`,
      ...what,
      hint: 'correct the script; README "Switches" has the contract',
    },
  );
}

function unanswered({ name, options }: Use, verb: Verb, found: string): Error {
  return failure(
    verb === 'move' ? 'OutcomeUnknown' : 'Unavailable',
    `switch ${name} did not answer ${verb}: ${found}`,
    {
      place: options.run[0],
      expected: 'an answer and exit 0',
      found,
      hint: `see what it says: ${options.run.join(' ')} ${verb}`,
    },
  );
}

function said(
  { name, options }: Use,
  verb: Verb,
  what: { end: ProgramEnd & { timedOut: false }; known: (typeof EXITS)[number] },
): Error {
  const { end, known } = what;
  return failure(known.type, `switch ${name} ${known.says} to ${verb}: ${lastWords(end)}`, {
    place: options.run[0],
    expected: 'exit 0',
    found: `exit ${end.code}`,
    hint: known.hint,
  });
}

function lastWords({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const text = stderr.trim() || stdout.trim();
  return (text.split('\n').at(-1) ?? '').slice(0, 300) || 'it said nothing';
}
