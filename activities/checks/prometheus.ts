import { z } from 'zod';
import type { HttpAnswer, HttpCall } from '../io/http-call.ts';
import { callHttp, httpRefusal, jsonOf, notUnderstood, webAddress } from '../io/http-call.ts';
import { durationOption } from '../io/option-types.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import { bearer } from './http.ts';
import type { Answer, CheckUse } from './service-check.ts';
import { defineServiceCheck } from './service-check.ts';

const schema = z
  .strictObject({
    /** Where its HTTP API is, without "/api/v1". */
    url: webAddress,
    /** Evaluated now; a vector of any length, or a scalar. */
    query: z.string().min(1).max(10_000),
    /** No value of the answer may be above it. */
    most: z.number().optional(),
    /** No value of the answer may be below it. */
    least: z.number().optional(),
    token: secretRefSchema.optional(),
    timeout: durationOption.prefault('10s'),
  })
  .refine(({ most, least }) => most !== undefined || least !== undefined, {
    path: ['most'],
    message: '`most` or `least`: what the value is compared with',
  });

type Options = z.infer<typeof schema>;

/** Instant query, https://prometheus.io/docs/prometheus/latest/querying/api/. No value at all is no good answer. */
export const prometheusCheck = defineServiceCheck<Options>({
  kind: 'prometheus',
  schema,
  summary: 'instant `query` at `url`: every value at most `most`, at least `least`; no value is a failure',
  asks: ({ url }) => new URL(url).origin,
  ask,
});

async function ask(options: Options, { service, name, run }: CheckUse): Promise<Answer> {
  const { token, timeout, query } = options;
  const url = new URL(options.url);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/api/v1/query`;
  url.searchParams.set('query', query);
  const call: HttpCall = {
    ...{ what: `check ${name}`, url, method: 'GET', timeoutMs: timeout, knownBy: '`url` and `token`' },
    headers: token ? bearer(resolveSecret(token, `services.${service}.checks.token`).reveal()) : {},
  };
  const answer = await callHttp(call, run, 'text');
  const error = errorOf(answer);
  if (error !== undefined) return { ok: false, expected: wanted(options), found: error };
  if (answer.status !== 200) throw httpRefusal(call, answer, { run });
  return judged(options, valuesOf(call, answer));
}

const MOST_LETTERS = 200;

/** What it says of a query that it does not take: 400, 422 and 503 with "error" in them. */
function errorOf({ status, text }: HttpAnswer): string | undefined {
  if (status === 200) return undefined;
  const said = refused.safeParse(parsed(text));
  return said.success ? `${status} ${said.data.error}`.slice(0, MOST_LETTERS) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const refused = z.object({ status: z.literal('error'), error: z.string() });
const sample = z.tuple([z.number(), z.string()]);
const answered = z.object({
  status: z.literal('success'),
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('vector'), result: z.array(z.object({ value: sample })) }),
    z.object({ resultType: z.literal('scalar'), result: sample }),
  ]),
});

/** As text: "NaN" and "+Inf" are values, too. */
function valuesOf(call: HttpCall, answer: HttpAnswer): string[] {
  const found = answered.safeParse(jsonOf(call, answer));
  if (!found.success) throw notUnderstood(call, 'something else, not shown');
  const { data } = found.data;
  if (data.resultType === 'scalar') return [data.result[1]];
  return data.result.map(({ value }) => value[1]);
}

function judged(options: Options, values: readonly string[]): Answer {
  const expected = wanted(options);
  const { most = Infinity, least = -Infinity } = options;
  const [worst] = values.filter((value) => !(numberOf(value) <= most && numberOf(value) >= least));
  if (values.length === 0) return { ok: false, expected, found: 'no value: nothing matches the query now' };
  const found = worst ?? values.reduce((a, b) => (numberOf(a) >= numberOf(b) ? a : b));
  return { ok: worst === undefined, expected, found: values.length === 1 ? found : `${found}, of ${values.length}` };
}

function numberOf(value: string): number {
  if (/^\+?Inf$/.test(value)) return Infinity;
  return value === '-Inf' ? -Infinity : Number(value);
}

function wanted({ most, least }: Options): string {
  const limits = [
    ...(least === undefined ? [] : [`at least ${least}`]),
    ...(most === undefined ? [] : [`at most ${most}`]),
  ];
  return limits.join(', ');
}
