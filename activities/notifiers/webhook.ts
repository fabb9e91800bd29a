import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { PRIORITIES } from '../../workflows/model/severity.ts';
import type { HttpCall } from '../io/http-call.ts';
import { addressOf, callHttp, httpRefusal, webAddress } from '../io/http-call.ts';
import { durationOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Message } from './notifier.ts';
import { defineNotifier } from './notifier.ts';

const schema = z.strictObject({
  /** Many receivers put a token in the path: then the whole address may be a secret. */
  url: z.union([webAddress, secretRefSchema], { error: 'an http or https address, or a reference to one' }),
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
  summary: 'POSTs each message as JSON, signed (Standard Webhooks)',
  usual: { priorities: PRIORITIES, atOnce: true },
  describe: ({ url }) => (typeof url === 'string' ? new URL(url).origin : 'a secret address'),
  send,
});

async function send(options: WebhookOptions, message: Message, run: Run): Promise<void> {
  const body = JSON.stringify(message);
  const call: HttpCall = {
    ...{ what: 'webhook', url: addressOf(options.url, 'webhook url'), body },
    headers: headersFor(options, { message, body, run }),
    ...{ timeoutMs: options.timeout, knownBy: '`url` and `secret`' },
  };
  const answer = await callHttp(call, run);
  if (answer.status < 200 || answer.status > 299) throw httpRefusal(call, answer, { run });
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
