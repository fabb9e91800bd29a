import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failure } from '../../workflows/model/failure.ts';
import { networkMeaning, retryAfterMsOf } from '../io/network-failure.ts';
import { durationOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Message } from './notifier.ts';
import { defineNotifier } from './notifier.ts';

const webUrl = z.url({ protocol: /^https?$/, error: 'an http or https address' });

const schema = z.strictObject({
  /** Many receivers put a token in the path: then the whole address may be a secret. */
  url: z.union([webUrl, secretRefSchema], { error: 'an http or https address, or a reference to one' }),
  /** Key of the signature; as "whsec_..." it is base64. */
  secret: secretRefSchema.optional(),
  /** For the whole call. */
  timeout: durationOption.prefault('10s'),
});

type WebhookOptions = z.infer<typeof schema>;

/**
 * POSTs the message as JSON, signed as https://www.standardwebhooks.com says (webhook-id, webhook-timestamp,
 * webhook-signature: HMAC-SHA256 of "id.timestamp.body"), so that a receiver can use an existing library. The key of the
 * message is its id and its idempotency-key: a repeat after a lost reply is recognised.
 */
export const webhookNotifier = defineNotifier<WebhookOptions>({
  kind: 'webhook',
  schema,
  describe: (options) => (typeof options.url === 'string' ? placeOf(new URL(options.url)) : 'a secret address'),
  send,
});

async function send(options: WebhookOptions, message: Message, run: Run): Promise<void> {
  const url = addressOf(options);
  const body = JSON.stringify(message);
  const deadline = new AbortController();
  const answered = new AbortController();
  run.clock.sleep(options.timeout, answered.signal).then(
    () => deadline.abort(),
    () => undefined,
  );
  try {
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: headersFor(options, { message, body, run }),
      // A signature is for one address; following would hand it, and the message, to another.
      redirect: 'manual',
      signal: AbortSignal.any([run.signal, deadline.signal]),
    });
    void answer.body?.cancel().catch(() => undefined);
    if (!answer.ok) throw refusal(placeOf(url), answer, run);
  } catch (error) {
    run.signal.throwIfAborted();
    if (deadline.signal.aborted) throw noAnswer(placeOf(url), options.timeout, error);
    throw unreachable(placeOf(url), error);
  } finally {
    answered.abort();
  }
}

function addressOf(options: WebhookOptions): URL {
  if (typeof options.url === 'string') return new URL(options.url);
  const text = resolveSecret(options.url, 'webhook url').reveal();
  if (webUrl.safeParse(text).success) return new URL(text);
  throw failure('ConfigInvalid', 'webhook url: the referenced value is no http or https address', {
    place: 'webhook url',
    expected: 'https://host/path',
    found: 'something else, not shown because it is a secret',
    hint: 'correct the variable or file that `url` names',
  });
}

/** Without path and query: they may hold a token. */
function placeOf(url: URL): string {
  return url.origin;
}

interface Outgoing {
  message: Message;
  body: string;
  run: Run;
}

function headersFor(options: WebhookOptions, { message, body, run }: Outgoing): Record<string, string> {
  const id = encodeURI(message.key);
  const timestamp = String(Math.floor(run.clock.nowMs() / 1000));
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'idempotency-key': id };
  if (!options.secret) return { ...headers, 'webhook-timestamp': timestamp };
  const secret = resolveSecret(options.secret, 'webhook secret').reveal();
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { ...headers, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}

interface Meaning {
  type: FailureType;
  hint: string;
}

const BY_STATUS: Record<number, Meaning> = {
  401: { type: 'Denied', hint: 'check the token in `url` and `secret`' },
  403: { type: 'Denied', hint: 'check the token in `url` and `secret`' },
  407: { type: 'Denied', hint: 'a proxy wants to know who asks' },
  408: { type: 'Unavailable', hint: 'the receiver is slow; it is tried again' },
  409: { type: 'Busy', hint: 'the receiver is still at the same message; it is tried again' },
  425: { type: 'Busy', hint: 'it is tried again' },
  429: { type: 'Busy', hint: 'the receiver throttles; it is tried again' },
  503: { type: 'Busy', hint: 'the receiver is overloaded; it is tried again' },
};

function refusal(place: string, answer: Response, run: Run): Error {
  const { type, hint } = BY_STATUS[answer.status] ?? byClass(answer.status);
  const retryAfterMs =
    type === 'Busy' ? retryAfterMsOf(answer.headers.get('retry-after'), run.clock.nowMs()) : undefined;
  return failure(type, `webhook ${place} answered ${answer.status}`, {
    place,
    expected: '2xx',
    found: String(answer.status),
    hint,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function byClass(status: number): Meaning {
  if (status >= 500) return { type: 'Unavailable', hint: 'see the log of the receiver; it is tried again' };
  if (status >= 400) return { type: 'ConfigInvalid', hint: 'correct `url`: the receiver does not take this' };
  return { type: 'ConfigInvalid', hint: 'write the final address in `url`: redirects are not followed' };
}

function noAnswer(place: string, timeoutMs: number, cause: unknown): Error {
  return failure('Unavailable', `webhook ${place} did not answer within ${timeoutMs} ms`, {
    place,
    expected: `an answer within ${timeoutMs} ms`,
    found: 'none',
    hint: 'check the receiver, or raise `timeout`',
    cause,
  });
}

function unreachable(place: string, error: unknown): unknown {
  const meaning = networkMeaning(error);
  if (!meaning) return error;
  const { type, code, hint } = meaning;
  return failure(type, `webhook ${place} cannot be reached (${code})`, { place, found: code, hint, cause: error });
}
