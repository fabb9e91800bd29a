import { z } from 'zod';
import { failure, isFailure } from '../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../workflows/model/traffic.ts';
import { describeTraffic, sameTraffic, trafficProblem } from '../../workflows/model/traffic.ts';
import type { HttpAnswer, HttpCall } from '../io/http-call.ts';
import { addressOf, callHttp, httpRefusal, webAddress } from '../io/http-call.ts';
import { networkMeaning } from '../io/network-failure.ts';
import { durationOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import { stale, stillToDo } from './compare.ts';
import type { SwitchCheck } from './switch.ts';
import { defineSwitch } from './switch.ts';

const address = z.union([webAddress, secretRefSchema], { error: 'an http or https address, or a reference to one' });

/**
 * A controller of the user's. GET answers 200 {"traffic":{"10.0.0.7:5432":100},"token":3} with a strong ETag (RFC 9110, 8.8.3);
 * PUT takes {"traffic":{...},"from":{...},"token":4} with If-Match, and answers 200 with the new state or 204. 412: it is no
 * longer what that ETag named; 409: it has taken a higher token; in both it has changed nothing, as with any 4xx, 429 and 503.
 */
const schema = z.strictObject({
  url: address,
  /** Asked with GET for what clients see, where that is another address; `"settled": false` in it: not all of them do yet. */
  seen: address.optional(),
  /** Of every call: who asks. */
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/, 'the name of a header'), z.union([z.string(), secretRefSchema]))
    .default({}),
  /** The controller can give an address a share of the traffic. */
  weighted: z.boolean().default(false),
  /** For one call. */
  timeout: durationOption.prefault('10s'),
});

type Options = z.infer<typeof schema>;

const TIMES = 3;
const NOT_SENT = [
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'],
  'UND_ERR_CONNECT_TIMEOUT',
];
const UNCHANGED = [429, 503];

export const httpSwitch = defineSwitch<Options>({
  kind: 'http',
  schema,
  describe: ({ url }) => (typeof url === 'string' ? new URL(url).origin : 'a secret address'),
  weighted: ({ weighted }) => weighted,
  open: (name, options, run) => {
    const use = { name, options, run };
    return {
      where: async () => {
        const { traffic, token } = await read(use);
        return { traffic, token };
      },
      move: (order) => move(use, order),
      confirm: (to) => confirm(use, to),
      check: () => check(use),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
});

interface Use {
  name: string;
  options: Options;
  run: Run;
}

interface State extends Observed {
  etag: string;
}

function callOf(
  { name, options }: Use,
  what: Pick<HttpCall, 'method'> & { url?: Options['url']; body?: unknown },
): HttpCall {
  const { url = options.url, method = 'GET', body } = what;
  const place = `switches.${name}`;
  const headers = Object.entries(options.headers).map(([header, value]) => [
    header,
    typeof value === 'string' ? value : resolveSecret(value, `${place}.headers.${header}`).reveal(),
  ]);
  return {
    ...{ what: `switch ${name}`, url: addressOf(url, `${place}.url`), method, timeoutMs: options.timeout },
    headers: {
      ...{ accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(Object.fromEntries(headers) as Record<string, string>),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    knownBy: '`headers`',
  };
}

async function read(use: Use): Promise<State> {
  const call = callOf(use, {});
  const answer = await callHttp(call, use.run, 'text');
  if (answer.status !== 200) throw httpRefusal(call, answer, { run: use.run });
  const { traffic, token } = stateIn(use, answer);
  const etag = answer.headers.get('etag') ?? '';
  if (!/^"[^"]*"$/.test(etag)) {
    const found = etag === '' ? 'no ETag' : `ETag ${etag.slice(0, 100)}`;
    throw garbled(use, { expected: 'a strong ETag: without it nobody can tell who was first', found });
  }
  return { traffic, token, etag };
}

function stateIn(use: Use, { text }: HttpAnswer): Observed & { settled: boolean; note?: string } {
  const answer = parsed(text);
  const { traffic, token, settled = true, note }: Record<string, unknown> = answer ?? {};
  const problem = answer === undefined ? 'no JSON object' : trafficProblem(traffic);
  if (problem !== undefined) throw garbled(use, { expected: '{"traffic":{"host:port":100},...}', found: problem });
  if (!Number.isSafeInteger(token) || (token as number) < 0)
    throw garbled(use, { expected: '"token": a whole number', found: JSON.stringify(token) ?? 'nothing' });
  if (typeof settled !== 'boolean')
    throw garbled(use, { expected: '"settled": true or false', found: JSON.stringify(settled) });
  return {
    ...{ traffic: traffic as Traffic, token: token as number, settled },
    ...(typeof note === 'string' ? { note: note.slice(0, 300) } : {}),
  };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function garbled({ name }: Use, { expected, found }: { expected: string; found: string }): Error {
  return failure('ConfigInvalid', `switch ${name}: the answer of its controller is not in its form`, {
    ...{ place: `switches.${name}`, expected, found: found.slice(0, 200) },
    hint: 'correct the controller; README "Switches" has the contract',
  });
}

async function move(use: Use, order: Move): Promise<void> {
  const { name, run } = use;
  for (let time = 0; time < TIMES; time++) {
    run.progress({ phase: `move of switch ${name}` });
    const seen = await read(use);
    const todo = stillToDo(name, seen, order);
    if (todo === 'nothing') return;
    if (await put(use, { order, etag: seen.etag })) return;
  }
  throw failure('Busy', `switch ${name} is moved by others again and again`, {
    ...{ place: `switches.${name}`, expected: 'a state that stays for a moment', found: `${TIMES} changes` },
    hint: 'it is tried again by itself',
  });
}

/** False when it was no longer what the ETag names. */
async function put(use: Use, { order, etag }: { order: Move; etag: string }): Promise<boolean> {
  const { from, to, token } = order;
  const call = callOf(use, { method: 'PUT', body: { traffic: to, from, token } });
  const answer = await sent(use, { ...call, headers: { ...call.headers, 'if-match': etag } });
  const { status } = answer;
  if (status === 204) return true;
  if (status === 200) {
    if (isState(use, answer, order)) return true;
    throw unknown(use, 'another answer than the new state');
  }
  if (status === 412) return false;
  if (status === 409) {
    const now = await read(use);
    if (now.token > token) throw stale(use.name, { token, seen: now.token });
  }
  if (status >= 500 && !UNCHANGED.includes(status)) throw unknown(use, `status ${status}`);
  throw httpRefusal(call, answer, { run: use.run });
}

function isState(use: Use, answer: HttpAnswer, { to, token }: Move): boolean {
  try {
    const state = stateIn(use, answer);
    return state.token === token && sameTraffic(state.traffic, to);
  } catch (error) {
    if (isFailure(error, 'ConfigInvalid')) return false;
    throw error;
  }
}

async function sent(use: Use, call: HttpCall): Promise<HttpAnswer> {
  try {
    return await callHttp(call, use.run, 'text');
  } catch (error) {
    if (!isFailure(error, 'Unavailable') || NOT_SENT.includes(networkMeaning(error)?.code ?? '')) throw error;
    throw unknown(use, (error as Error).message);
  }
}

function unknown({ name }: Use, found: string): Error {
  return failure('OutcomeUnknown', `switch ${name}: its controller did not say whether it moved: ${found}`, {
    ...{ place: `switches.${name}`, expected: '200 with the new state, or 204', found },
    hint: 'it is looked at, and asked again',
  });
}

async function confirm(use: Use, to: Traffic): Promise<Confirmation> {
  const { seen } = use.options;
  const call = callOf(use, seen === undefined ? {} : { url: seen });
  const answer = await callHttp(call, use.run, 'text');
  if (answer.status !== 200) throw httpRefusal(call, answer, { run: use.run });
  const { traffic, settled, note } = stateIn(use, answer);
  const found = [describeTraffic(traffic), ...(settled ? [] : ['not settled']), ...(note === undefined ? [] : [note])];
  return { ok: settled && sameTraffic(traffic, to), found: found.join('; ') };
}

async function check(use: Use): Promise<SwitchCheck[]> {
  const { etag } = await read(use);
  const checks = [{ name: 'compare and set', ok: true, found: `ETag ${etag.slice(0, 60)}` }];
  const { seen } = use.options;
  if (seen === undefined) return checks;
  const { found } = await confirm(use, {});
  return [...checks, { name: 'seen from outside', ok: true, found }];
}
