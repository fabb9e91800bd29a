import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong, once, with the next call. */
export type Fault = 'busy' | 'down' | 'denied' | 'refused' | 'redirect' | 'hang' | 'cut' | 'lost' | 'late';

/** Somebody who is told, and knows what people were shown. */
export interface Receiver extends AsyncDisposable {
  /** Options of the notifier that lead there. */
  options: Record<string, unknown>;
  fail(fault: Fault): void;
  /** How often it was called. */
  calls(): number;
  /** What people see, one for each message that it could tell from the others. */
  told(): string[];
  /** Incidents that are open, where there are such. */
  open?(): number;
  /** A repeat is recognised. */
  tellsRepeats: boolean;
  /** Must stand nowhere but in the calls themselves. */
  secrets: string[];
  /** host:port, or origin. */
  place: string;
  /** Called whenever something arrives. */
  onCall?: () => void;
}

export interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  json: unknown;
}

const ANSWERS = {
  busy: { status: 429, headers: { 'retry-after': '7' }, json: {} },
  down: { status: 500, json: {} },
  denied: { status: 401, json: {} },
  refused: { status: 400, json: {} },
  redirect: { status: 302, headers: { location: '/elsewhere' }, json: {} },
} as const satisfies Partial<Record<Fault, Answer>>;

/** A service that answers as its documentation says, and goes wrong when it is told to. */
export async function httpReceiver(
  act: (asked: Asked) => Answer,
  more: (origin: string) => Pick<Receiver, 'options' | 'told' | 'tellsRepeats' | 'secrets'> & Partial<Receiver>,
): Promise<Receiver> {
  let fault: Fault | undefined;
  let calls = 0;
  const reply = (response: ServerResponse, { status, headers = {}, json }: Answer): void =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json));
  // What is lost or late is an answer to something that was done.
  const takeFault = (method: string): Fault | undefined => {
    if (method === 'GET' && (fault === 'lost' || fault === 'late')) return undefined;
    const now = fault;
    fault = undefined;
    return now;
  };
  const listener = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const { method = '', url: path = '', headers } = request;
    calls += 1;
    const asked = { method, path, headers, body };
    receiver.onCall?.();
    const now = takeFault(method);
    if (now === 'hang') return;
    if (now === 'cut') return void request.socket.destroy();
    if (now !== undefined && now in ANSWERS) return reply(response, ANSWERS[now as keyof typeof ANSWERS]);
    const answer = act(asked);
    if (now === 'lost') return void request.socket.destroy();
    if (now !== 'late') reply(response, answer);
  };
  const server = createServer((request, response) => void listener(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const receiver: Receiver = {
    place: origin,
    fail: (next) => (fault = next),
    calls: () => calls,
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    ...more(origin),
  };
  return receiver;
}

let number = 0;

/** A reference to a secret of the test's own. */
export function secretOf(value: string): { env: string } {
  const env = `LIFEBOAT_TEST_NOTIFIER_${++number}`;
  process.env[env] = value;
  return { env };
}

/** The first thing that is wrong. */
function firstOf(problems: Record<string, boolean>): string | undefined {
  return Object.keys(problems).find((name) => problems[name]);
}

const bad = (status: number, error: string): Answer => ({ status, json: { ok: false, error } });

/** An endpoint that keeps what it is sent, by its idempotency key. */
export function webhookReceiver(): Promise<Receiver> {
  const kept = new Map<string, string>();
  const act = ({ headers, body }: Asked): Answer => {
    kept.set(String(headers['idempotency-key']), body);
    return { status: 204, json: {} };
  };
  return httpReceiver(act, (origin) => ({
    options: { url: secretOf(`${origin}/hook/token-of-the-path`), secret: secretOf('key-of-the-signature') },
    ...{ told: () => [...kept.values()], tellsRepeats: true },
    secrets: ['token-of-the-path', 'key-of-the-signature'],
  }));
}

export interface SlackPost {
  channel: string;
  text: string;
  thread_ts?: string;
  reply_broadcast?: boolean;
  ts: string;
}

/** chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage): it answers 200 also when it says no. */
export async function slackReceiver(): Promise<Receiver & { posts: SlackPost[]; say(error: string): void }> {
  const posts: SlackPost[] = [];
  let says: string | undefined;
  const act = ({ method, path, headers, body }: Asked): Answer => {
    if (method !== 'POST' || path !== '/api/chat.postMessage') return bad(404, 'unknown_method');
    const given = JSON.parse(body) as Partial<SlackPost>;
    const { channel = '', text = '', thread_ts } = given;
    const isKnown = thread_ts === undefined || posts.some(({ ts }) => ts === thread_ts);
    const wrong = firstOf({
      invalid_auth: headers.authorization !== 'Bearer xoxb-token-of-the-bot',
      invalid_post_type: !/^application\/json/.test(headers['content-type'] ?? ''),
      channel_not_found: channel !== '#ops',
      no_text: text === '',
      msg_too_long: text.length > 4000,
      thread_not_found: !isKnown,
    });
    if (wrong !== undefined || says !== undefined) return bad(200, says ?? wrong ?? '');
    const ts = `1767582000.${String(posts.length).padStart(6, '0')}`;
    posts.push({ ...given, channel, text, ts });
    return { status: 200, json: { ok: true, channel: 'C012AB3CD', ts, message: { text } } };
  };
  const receiver = await httpReceiver(act, (origin) => ({
    options: { token: secretOf('xoxb-token-of-the-bot'), channel: '#ops', api: `${origin}/api` },
    ...{ told: () => posts.map(({ text }) => text), tellsRepeats: false, secrets: ['xoxb-token-of-the-bot'] },
  }));
  return Object.assign(receiver, { posts, say: (error: string) => (says = error) });
}

interface PagerEvent {
  routing_key?: string;
  event_action?: string;
  dedup_key?: string;
  payload?: { summary?: string; source?: string; severity?: string; timestamp?: string; custom_details?: object };
}

export interface PagerIncident {
  key: string;
  state: 'triggered' | 'acknowledged' | 'resolved';
  events: PagerEvent[];
}

const KEY = '0123456789abcdef0123456789abcdef';

function eventProblem({ routing_key, event_action = '', dedup_key = '', payload }: PagerEvent): string | undefined {
  const wrong = firstOf({
    routing_key: routing_key !== KEY,
    dedup_key: dedup_key === '' || dedup_key.length > 255,
    event_action: !['trigger', 'acknowledge', 'resolve'].includes(event_action),
  });
  return wrong ?? (event_action === 'trigger' ? payloadProblem(payload ?? {}) : undefined);
}

function payloadProblem(payload: NonNullable<PagerEvent['payload']>): string | undefined {
  const { summary = '', source = '', severity = '', timestamp = '' } = payload;
  return firstOf({
    summary: summary === '' || summary.length > 1024,
    source: source === '',
    severity: !['critical', 'error', 'warning', 'info'].includes(severity),
    timestamp: Number.isNaN(Date.parse(timestamp)),
  });
}

/** The Events API v2 (https://developer.pagerduty.com/docs/send-alert-event): asynchronous, so it answers 202. */
export async function pagerDutyReceiver(): Promise<Receiver & { incidents: PagerIncident[] }> {
  const incidents: PagerIncident[] = [];
  const tell = (event: PagerEvent, action: string, dedupKey: string): void => {
    const incident = incidents.find(({ key, state }) => key === dedupKey && state !== 'resolved');
    if (action !== 'trigger' && incident) incident.state = action === 'resolve' ? 'resolved' : 'acknowledged';
    else if (incident) incident.events.push(event);
    else if (action === 'trigger') incidents.push({ key: dedupKey, state: 'triggered', events: [event] });
  };
  const act = ({ method, path, body }: Asked): Answer => {
    if (method !== 'POST' || path !== '/v2/enqueue') return { status: 404, json: {} };
    if (Buffer.byteLength(body) > 512 * 1024) return { status: 413, json: {} };
    const event = JSON.parse(body) as PagerEvent;
    const { event_action = '', dedup_key = '' } = event;
    const wrong = eventProblem(event);
    if (wrong !== undefined) return { status: 400, json: { status: 'invalid event', errors: [wrong] } };
    tell(event, event_action, dedup_key);
    return { status: 202, json: { status: 'success', message: 'Event processed', dedup_key } };
  };
  const receiver = await httpReceiver(act, (origin) => ({
    options: { routingKey: secretOf(KEY), url: `${origin}/v2/enqueue` },
    ...{
      told: () => incidents.map(({ events }) => JSON.stringify(events[0]?.payload)),
      tellsRepeats: true,
      secrets: [KEY],
    },
    open: () => incidents.filter(({ state }) => state !== 'resolved').length,
  }));
  return Object.assign(receiver, { incidents });
}

export interface PageIncident {
  id: string;
  name: string;
  status: string;
  metadata: unknown;
  bodies: string[];
}

type PageChange = Partial<Omit<PageIncident, 'id' | 'bodies'>> & {
  body?: string;
  component_ids?: string[];
  components?: Record<string, string>;
};

/** The manage API of Atlassian Statuspage (https://developer.statuspage.io). */
export async function statuspageReceiver(): Promise<
  Receiver & { incidents: PageIncident[]; components: Map<string, string> }
> {
  const incidents: PageIncident[] = [];
  const components = new Map([['comp1', 'operational'], ['comp2', 'operational']]); // prettier-ignore
  const change = (incident: PageIncident, given: PageChange): Answer => {
    const { status = '', body = '' } = given;
    if (!['investigating', 'identified', 'monitoring', 'resolved'].includes(status)) return { status: 422, json: {} };
    if (body === '' || !(given.component_ids ?? []).every((id) => components.has(id))) return { status: 422, json: {} };
    Object.assign(incident, { status, metadata: given.metadata ?? incident.metadata });
    incident.bodies.push(body);
    for (const [id, to] of Object.entries(given.components ?? {})) components.set(id, to);
    return { status: 200, json: incident };
  };
  const create = (given: PageChange): Answer => {
    const made = { id: `inc${incidents.length}`, name: given.name ?? '', status: '', metadata: {}, bodies: [] };
    const answer = made.name === '' ? { status: 422, json: {} } : change(made, given);
    if (answer.status !== 200) return answer;
    incidents.push(made);
    return { ...answer, status: 201 };
  };
  const act = ({ method, path, headers, body }: Asked): Answer => {
    if (headers.authorization !== 'OAuth token-of-the-page') return { status: 401, json: { error: 'unauthorized' } };
    const [, rest] = /^\/v1\/pages\/page1\/incidents(.*)$/.exec(path) ?? [];
    if (rest === undefined) return { status: 404, json: {} };
    if (method === 'GET' && rest === '/unresolved')
      return { status: 200, json: incidents.filter(({ status }) => status !== 'resolved') };
    const { incident: given = {} } = JSON.parse(body) as { incident?: PageChange };
    if (method === 'POST' && rest === '') return create(given);
    const known = incidents.find(({ id }) => rest === `/${id}`);
    return method === 'PATCH' && known ? change(known, given) : { status: 404, json: {} };
  };
  const receiver = await httpReceiver(act, (origin) => ({
    options: { page: 'page1', token: secretOf('token-of-the-page'), components: ['comp1'], url: `${origin}/v1` },
    ...{
      told: () => incidents.map((each) => JSON.stringify(each)),
      tellsRepeats: true,
      secrets: ['token-of-the-page'],
    },
    open: () => incidents.filter(({ status }) => status !== 'resolved').length,
  }));
  return Object.assign(receiver, { incidents, components });
}

/** Everything that an error carries, whatever hides in it. */
export function wholeOf(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    parts.push(at.message, at.stack ?? '', JSON.stringify(Object.entries(at)));
    assert.ok(parts.length < 100);
  }
  return parts.join('\n');
}
