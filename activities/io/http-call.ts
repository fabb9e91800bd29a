import { z } from 'zod';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failure, findFailure } from '../../workflows/model/failure.ts';
import { networkMeaning, retryAfterMsOf } from './network-failure.ts';
import type { Run } from './run.ts';
import type { SecretRef } from './secret.ts';
import { resolveSecret } from './secret.ts';

export const webAddress = z.url({ protocol: /^https?$/, error: 'an http or https address' });

/** One call of a service of others. */
export interface HttpCall {
  /** Who answers, for messages: "webhook". */
  what: string;
  /** Path and query may hold a token: only its origin is ever shown. */
  url: URL;
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH';
  headers?: Record<string, string>;
  body?: string;
  /** For the whole call, the answer's body too. */
  timeoutMs: number;
  /** Options that hold what it is known by, for hints: "`token`". */
  knownBy: string;
}

export interface HttpAnswer {
  status: number;
  headers: Headers;
  /** Empty unless it was wanted. */
  text: string;
}

const MOST_BYTES = 8 * 2 ** 20;

/**
 * Calls once. Redirects are not followed: what is sent is for one address. Unavailable when there is no answer in time or the
 * connection is cut, which also happens after the service has acted; the run's own reason when that is cancelled. Any status is an answer.
 */
export async function callHttp(call: HttpCall, run: Run, wants: 'status' | 'text' = 'status'): Promise<HttpAnswer> {
  const { url, method = 'POST', headers = {}, body, timeoutMs } = call;
  const deadline = new AbortController();
  const answered = new AbortController();
  run.clock.sleep(timeoutMs, answered.signal).then(
    () => deadline.abort(),
    () => undefined,
  );
  try {
    const answer = await fetch(url, {
      ...{ method, headers, redirect: 'manual' },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.any([run.signal, deadline.signal]),
    });
    if (wants === 'text') return { status: answer.status, headers: answer.headers, text: await textOf(call, answer) };
    void answer.body?.cancel().catch(() => undefined);
    return { status: answer.status, headers: answer.headers, text: '' };
  } catch (error) {
    run.signal.throwIfAborted();
    if (findFailure(error)) throw error;
    if (deadline.signal.aborted) throw noAnswer(call, error);
    throw unreachable(call, error);
  } finally {
    answered.abort();
  }
}

async function textOf(call: HttpCall, answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw notUnderstood(call, `more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The answer as JSON; ConfigInvalid when it is none: something else answers at that address. */
export function jsonOf(call: HttpCall, { text }: HttpAnswer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notUnderstood(call, 'something else, not shown');
  }
}

/** What answers there is not what was called. */
export function notUnderstood({ what, url }: HttpCall, found: string): Error {
  return failure('ConfigInvalid', `${what} ${url.origin} gave an answer that is not understood`, {
    place: url.origin,
    expected: `what ${what} answers, as JSON`,
    found,
    hint: 'check the address',
  });
}

interface Meaning {
  type: FailureType;
  hint: string;
}

/** Statuses of RFC 9110 and 6585; 420 is what some services throttle with. */
function meaningOf(status: number, knownBy: string): Meaning {
  const token = { type: 'Denied', hint: `check the token in ${knownBy}` } as const;
  const known: Record<number, Meaning> = {
    ...{ 401: token, 403: token },
    407: { type: 'Denied', hint: 'a proxy wants to know who asks' },
    408: { type: 'Unavailable', hint: 'the receiver is slow; it is tried again' },
    409: { type: 'Busy', hint: 'the receiver is still at the same message; it is tried again' },
    420: { type: 'Busy', hint: 'the receiver throttles; it is tried again' },
    425: { type: 'Busy', hint: 'it is tried again' },
    429: { type: 'Busy', hint: 'the receiver throttles; it is tried again' },
    503: { type: 'Busy', hint: 'the receiver is overloaded; it is tried again' },
  };
  return known[status] ?? byClass(status);
}

function byClass(status: number): Meaning {
  if (status >= 500) return { type: 'Unavailable', hint: 'see the log of the receiver; it is tried again' };
  if (status >= 400) return { type: 'ConfigInvalid', hint: 'correct `url`: the receiver does not take this' };
  return { type: 'ConfigInvalid', hint: 'write the final address in `url`: redirects are not followed' };
}

export interface Refusing {
  /** Instead of what the status alone says. */
  type?: FailureType;
  hint?: string;
  /** A word of the service that is no secret: "channel_not_found". */
  word?: string;
}

/** What an answer that is no 2xx means; Busy carries the delay that the service asks for. */
export function httpRefusal(
  { what, url, knownBy }: HttpCall,
  { status, headers }: HttpAnswer,
  { run, ...more }: Refusing & { run: Run },
): Error {
  const { type, hint } = { ...meaningOf(status, knownBy), ...more };
  const retryAfterMs = type === 'Busy' ? retryAfterMsOf(headers.get('retry-after'), run.clock.nowMs()) : undefined;
  const found = more.word === undefined ? String(status) : `${status} ${more.word}`;
  return failure(type, `${what} ${url.origin} answered ${found}`, {
    ...{ place: url.origin, expected: '2xx', found, hint },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function noAnswer({ what, url, timeoutMs }: HttpCall, cause: unknown): Error {
  return failure('Unavailable', `${what} ${url.origin} did not answer within ${timeoutMs} ms`, {
    place: url.origin,
    expected: `an answer within ${timeoutMs} ms`,
    found: 'none',
    hint: 'check the receiver, or raise `timeout`',
    cause,
  });
}

function unreachable({ what, url, knownBy }: HttpCall, error: unknown): Error {
  const meaning = networkMeaning(error);
  if (!meaning) {
    // What the client says of a header or an address that it does not take repeats it, secrets too.
    return failure('ConfigInvalid', `${what} ${url.origin} cannot be called`, {
      ...{ place: url.origin, expected: 'what fits into an address and a header', found: 'something else, not shown' },
      hint: `look for line ends and other strange letters in ${knownBy}`,
    });
  }
  const { type, code, hint } = meaning;
  const facts = { place: url.origin, found: code, hint, cause: error };
  return failure(type, `${what} ${url.origin} cannot be reached (${code})`, facts);
}

/** An address that stands in the file, or that a reference leads to because it is a secret itself. */
export function addressOf(url: string | SecretRef, place: string): URL {
  if (typeof url === 'string') return new URL(url);
  const text = resolveSecret(url, place).reveal();
  if (webAddress.safeParse(text).success) return new URL(text);
  throw failure('ConfigInvalid', `${place}: the referenced value is no http or https address`, {
    place,
    expected: 'https://host/path',
    found: 'something else, not shown because it is a secret',
    hint: 'correct the variable or file that `url` names',
  });
}
