import { z } from 'zod';
import type { HttpAnswer, HttpCall } from '../io/http-call.ts';
import { callHttp, httpRefusal, jsonOf, notUnderstood, webAddress } from '../io/http-call.ts';
import { durationOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Message } from './notifier.ts';
import { defineNotifier } from './notifier.ts';

const name = z.string().min(1).max(200);
const text = z.string().min(1).max(2000);

const schema = z.strictObject({
  /** Id of the page. */
  page: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'the id of a page, from its settings'),
  token: secretRefSchema,
  /** Ids of components that are down meanwhile. */
  components: z
    .array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'the id of a component'))
    .max(100)
    .default([]),
  componentStatus: z.enum(['degraded_performance', 'partial_outage', 'major_outage']).default('major_outage'),
  /** What everybody reads. What runs say names hosts and files, and is not for everybody. */
  name: name.default('Service disruption'),
  texts: z
    .strictObject({
      open: text.default('We are looking into a problem.'),
      acknowledged: text.default('The problem is known and being worked on.'),
      over: text.default('The problem is over.'),
    })
    .prefault({}),
  url: webAddress.default('https://api.statuspage.io/v1'),
  timeout: durationOption.prefault('10s'),
});

type StatuspageOptions = z.infer<typeof schema>;

const STATUSES = { open: 'investigating', acknowledged: 'identified', over: 'resolved' } as const;

/**
 * One incident for each group of messages (https://developer.statuspage.io). The group stands in its metadata: it is looked for among
 * the unresolved ones before anything is made, so that a repeat after a lost reply makes no second one, and one that
 * somebody resolved by hand stays so.
 */
export const statuspageNotifier = defineNotifier<StatuspageOptions>({
  kind: 'statuspage',
  schema,
  summary: 'opens and resolves one incident for each run, in your words, on an Atlassian Statuspage',
  usual: { priorities: ['P1'] },
  describe: ({ page, url }) => `page ${page} at ${new URL(url).origin}`,
  send,
});

async function send(options: StatuspageOptions, message: Message, run: Run): Promise<void> {
  const ask = askerOf(options, run);
  const open = await findIncident(ask, message.group);
  if (message.state === 'open') {
    // What comes behind the first is news for those who mend it.
    if (!open) await ask('POST', 'incidents', { incident: { name: options.name, ...changeOf(options, message) } });
    return;
  }
  if (!open || open.status === STATUSES[message.state]) return;
  await ask('PATCH', `incidents/${open.id}`, { incident: changeOf(options, message) });
}

function changeOf(options: StatuspageOptions, { state, group }: Message): Record<string, unknown> {
  const { components: ids, componentStatus, texts } = options;
  const status = state === 'over' ? 'operational' : componentStatus;
  return {
    ...{ status: STATUSES[state], body: texts[state], metadata: { lifeboat: { group } } },
    ...(ids.length > 0 ? { component_ids: ids, components: Object.fromEntries(ids.map((id) => [id, status])) } : {}),
  };
}

type Ask = (method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown) => Promise<unknown>;

function askerOf({ url, page, token, timeout }: StatuspageOptions, run: Run): Ask {
  const key = resolveSecret(token, 'statuspage token').reveal();
  return async (method, path, body) => {
    const call: HttpCall = {
      ...{ what: 'statuspage', method, url: new URL(`${url.replace(/\/+$/, '')}/pages/${page}/${path}`) },
      headers: { authorization: `OAuth ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...{ timeoutMs: timeout, knownBy: '`token`' },
    };
    const answer = await callHttp(call, run, 'text');
    if (answer.status === 200 || answer.status === 201) return checked(call, answer);
    const hint = answer.status === 404 ? { hint: 'correct `page`' } : {};
    const unknown = answer.status === 422 ? { hint: 'correct `components`' } : hint;
    throw httpRefusal(call, answer, { run, ...unknown });
  };
}

function checked(call: HttpCall, answer: HttpAnswer): unknown {
  const given = jsonOf(call, answer);
  if (call.method === 'GET' ? Array.isArray(given) : typeof given === 'object' && given !== null) return given;
  throw notUnderstood(call, 'JSON of another form');
}

interface Incident {
  id: string;
  status: string;
  metadata?: { lifeboat?: { group?: unknown } } | null;
}

async function findIncident(ask: Ask, group: string): Promise<Incident | undefined> {
  const incidents = (await ask('GET', 'incidents/unresolved')) as Incident[];
  return incidents.find(({ id, metadata }) => /^[A-Za-z0-9_-]+$/.test(id) && metadata?.lifeboat?.group === group);
}
