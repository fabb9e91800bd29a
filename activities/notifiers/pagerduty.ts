import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { HttpCall } from '../io/http-call.ts';
import { callHttp, httpRefusal, webAddress } from '../io/http-call.ts';
import { durationOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Message } from './notifier.ts';
import { defineNotifier } from './notifier.ts';
import { shortened } from './text.ts';

const schema = z.strictObject({
  /** Integration key of a service ("Events API v2"). */
  routingKey: secretRefSchema,
  /** Of another service region: https://events.eu.pagerduty.com/v2/enqueue. */
  url: webAddress.default('https://events.pagerduty.com/v2/enqueue'),
  timeout: durationOption.prefault('10s'),
});

type PagerDutyOptions = z.infer<typeof schema>;

const ACTIONS = { open: 'trigger', acknowledged: 'acknowledge', over: 'resolve' } as const;

/** Limits of the Events API v2 ("Trigger events"): letters of a summary and of a dedup key, bytes of an event. */
const MOST_SUMMARY = 1024;
const MOST_KEY = 255;
const MOST_BYTES = 512 * 1024;

/**
 * One incident for each group of messages (Events API v2, https://developer.pagerduty.com/docs/events-api-v2-overview): the group
 * is its dedup_key, so that a repeat, or the next run of the same id, opens no second one.
 */
export const pagerDutyNotifier = defineNotifier<PagerDutyOptions>({
  kind: 'pagerduty',
  schema,
  summary: 'opens, acknowledges and resolves one incident for each run (Events API v2)',
  usual: { priorities: ['P1'] },
  describe: ({ url }) => new URL(url).origin,
  send,
});

async function send(options: PagerDutyOptions, message: Message, run: Run): Promise<void> {
  const key = resolveSecret(options.routingKey, 'pagerduty routingKey').reveal();
  const call: HttpCall = {
    ...{ what: 'pagerduty', url: new URL(options.url), body: eventOf(key, message) },
    headers: { 'content-type': 'application/json' },
    ...{ timeoutMs: options.timeout, knownBy: '`routingKey`' },
  };
  const answer = await callHttp(call, run);
  if (answer.status === 202) return;
  // What it takes is checked here: a refusal of the event is one of the integration key.
  if (answer.status === 400) throw httpRefusal(call, answer, { run, hint: 'check `routingKey`: no service has it' });
  throw httpRefusal(call, answer, { run });
}

function eventOf(key: string, message: Message): string {
  const shared = { routing_key: key, event_action: ACTIONS[message.state], dedup_key: dedupKeyOf(message.group) };
  if (message.state !== 'open') return JSON.stringify(shared);
  const { title, body, severity, source, run, at, group } = message;
  const event = (text: string): string =>
    JSON.stringify({
      ...shared,
      client: 'Lifeboat',
      payload: {
        ...{ summary: shortened(title, MOST_SUMMARY), source, severity, timestamp: at },
        ...{ component: run, group, class: message.priority },
        custom_details: { message: text, run, look: `lifeboat status ${run}`, acknowledge: `lifeboat ack ${run}` },
      },
    });
  const whole = event(body);
  return Buffer.byteLength(whole) <= MOST_BYTES ? whole : event(shortened(body, MOST_BYTES / 16));
}

function dedupKeyOf(group: string): string {
  const key = `lifeboat/${group}`;
  return key.length <= MOST_KEY ? key : `lifeboat/${createHash('sha256').update(group).digest('hex')}`;
}
