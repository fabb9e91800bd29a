import { z } from 'zod';
import type { HttpCall } from '../io/http-call.ts';
import { callHttp, webAddress } from '../io/http-call.ts';
import { durationOption } from '../io/option-types.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Answer, CheckUse } from './service-check.ts';
import { defineServiceCheck } from './service-check.ts';

const schema = z.strictObject({
  /** Asked by GET; a redirect is an answer and not followed. */
  url: webAddress,
  status: z.array(z.int().min(100).max(599)).min(1).default([200]),
  /** What the answer has to hold, letter by letter. */
  text: z.string().min(1).max(1000).optional(),
  /** Sent as "Authorization: Bearer". */
  token: secretRefSchema.optional(),
  /** For the whole answer. */
  timeout: durationOption.prefault('5s'),
});

type Options = z.infer<typeof schema>;

export const httpCheck = defineServiceCheck<Options>({
  kind: 'http',
  schema,
  summary: 'GET of `url`: one of `status` (200), and `text` in the answer where it is given',
  asks: ({ url }) => new URL(url).origin,
  ask,
});

async function ask(options: Options, { service, name, run }: CheckUse): Promise<Answer> {
  const { status, text, timeout, token } = options;
  const call: HttpCall = {
    ...{ what: `check ${name}`, url: new URL(options.url), method: 'GET', timeoutMs: timeout, knownBy: '`token`' },
    headers: token ? bearer(resolveSecret(token, `services.${service}.checks.token`).reveal()) : {},
  };
  const answer = await callHttp(call, run, text === undefined ? 'status' : 'text');
  const has = text === undefined || answer.text.includes(text);
  return {
    ok: status.includes(answer.status) && has,
    expected: `${status.join(' or ')}${text === undefined ? '' : `, with "${text}"`}`,
    found: `${answer.status}${has ? '' : ', without it'}`,
  };
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
