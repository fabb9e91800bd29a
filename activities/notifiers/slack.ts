import { z } from 'zod';
import type { FailureType } from '../../workflows/model/failure.ts';
import type { HttpAnswer, HttpCall } from '../io/http-call.ts';
import { addressOf, callHttp, httpRefusal, jsonOf, notUnderstood, webAddress } from '../io/http-call.ts';
import { durationOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Message, Sent } from './notifier.ts';
import { defineNotifier } from './notifier.ts';

const schema = z
  .strictObject({
    /** Incoming webhook: whoever knows it may post, so it is a secret. It has no threads. */
    url: secretRefSchema.optional(),
    /** Bot token with chat:write, and the channel that the bot is in. */
    token: secretRefSchema.optional(),
    channel: z.string().min(1).max(200).optional(),
    api: webAddress.default('https://slack.com/api'),
    timeout: durationOption.prefault('10s'),
  })
  .refine(({ url, token, channel }) => (url === undefined) === (token !== undefined && channel !== undefined), {
    error: 'either url (an incoming webhook), or token and channel',
  });

type SlackOptions = z.infer<typeof schema>;

/** Letters of a message; longer ones are shown badly (https://docs.slack.dev/reference/methods/chat.postMessage). */
const MOST_LETTERS = 4000;
const MOST_TITLE = 300;

/**
 * Posts to a channel: with a bot token the messages of a group are one thread, with an incoming webhook each stands alone. Slack
 * cannot tell a repeat: a message whose answer was lost may stand there twice.
 */
export const slackNotifier = defineNotifier<SlackOptions>({
  kind: 'slack',
  schema,
  summary: 'posts to a channel, with a bot token one thread for each run',
  usual: { priorities: ['P1', 'P2'] },
  describe: ({ channel, api }) =>
    channel === undefined ? 'an incoming webhook' : `${channel} at ${new URL(api).origin}`,
  send: (options, message, run) => (options.token ? post(options, message, run) : hook(options, message, run)),
});

const SHARED = { mrkdwn: true, unfurl_links: false, unfurl_media: false } as const;

async function hook(options: SlackOptions, message: Message, run: Run): Promise<Sent> {
  const url = addressOf(options.url ?? '', 'slack url');
  const call: HttpCall = {
    ...{ what: 'slack', url, body: JSON.stringify({ ...SHARED, text: textOf(message) }) },
    headers: { 'content-type': 'application/json' },
    ...{ timeoutMs: options.timeout, knownBy: '`url`' },
  };
  const answer = await callHttp(call, run);
  if (answer.status !== 200) throw httpRefusal(call, answer, { run });
  return {};
}

interface Posted {
  ok?: unknown;
  error?: unknown;
  ts?: unknown;
}

async function post(options: SlackOptions, message: Message, run: Run): Promise<Sent> {
  const { api, channel, token, timeout } = options;
  const bearer = token ? resolveSecret(token, 'slack token').reveal() : '';
  const { state, priority } = message;
  // What somebody has to act on is seen in the channel, too: a reply in a thread is quiet.
  const isLoud = state === 'open' && (priority === 'P1' || priority === 'P2');
  const thread =
    message.thread === undefined ? {} : { thread_ts: message.thread, ...(isLoud ? { reply_broadcast: true } : {}) };
  const call: HttpCall = {
    ...{ what: 'slack', url: new URL(`${api.replace(/\/+$/, '')}/chat.postMessage`) },
    body: JSON.stringify({ ...SHARED, channel, text: textOf(message), ...thread }),
    headers: { 'content-type': 'application/json; charset=utf-8', authorization: `Bearer ${bearer}` },
    ...{ timeoutMs: timeout, knownBy: '`token`' },
  };
  const answer = await callHttp(call, run, 'text');
  if (answer.status !== 200) throw httpRefusal(call, answer, { run });
  return { thread: message.thread ?? postedAt(call, answer, run) };
}

/** Slack answers 200 also when it says no. */
function postedAt(call: HttpCall, answer: HttpAnswer, run: Run): string {
  const { ok, error, ts } = (jsonOf(call, answer) ?? {}) as Posted;
  if (ok === true && typeof ts === 'string' && ts.length <= 50) return ts;
  const word = typeof error === 'string' && /^[a-z_]{1,60}$/.test(error) ? error : undefined;
  if (ok !== false || word === undefined) throw notUnderstood(call, 'JSON of another form');
  throw httpRefusal(call, answer, { run, word, ...meaningOf(word) });
}

/** The errors of chat.postMessage; what is not among them is a mistake in the configuration. */
const MEANINGS: [words: RegExp, type: FailureType, hint: string][] = [
  [/^rate_?limited$/, 'Busy', 'slack throttles; it is tried again'],
  [
    /^(internal_error|fatal_error|service_unavailable|request_timeout|team_added_to_org)$/,
    'Unavailable',
    'it is tried again',
  ],
  [/^not_in_channel$/, 'Denied', 'invite the bot into the channel'],
  [/^missing_scope$/, 'Denied', 'give the bot the scope chat:write, and install it again'],
  [/auth|token|access|permission|restricted|inactive/, 'Denied', 'check `token` and what it may'],
];

function meaningOf(word: string): { type: FailureType; hint: string } {
  const [, type, hint] = MEANINGS.find(([words]) => words.test(word)) ?? [];
  return { type: type ?? 'ConfigInvalid', hint: hint ?? 'correct `channel`' };
}

function textOf({ state, priority, title, body, run }: Message): string {
  const head = state === 'open' ? `*${priority}*` : `*${state}*`;
  const end = `\n_${escaped(run, MOST_TITLE)}_`;
  const start = `${head} ${escaped(title.replaceAll('\n', ' '), MOST_TITLE)}\n`;
  const bold = body.replaceAll(/\*\*([^*\n]+)\*\*/g, '*$1*');
  return `${start}${escaped(bold, MOST_LETTERS - start.length - end.length)}${end}`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Three letters make links and mentions, like <!channel>: as entities they are letters. At most so many letters afterwards. */
function escaped(text: string, most: number): string {
  let whole = '';
  let cut = '';
  for (const letter of text) {
    const next = whole + (ENTITIES[letter] ?? letter);
    if (next.length > most) return `${cut}...`;
    if (next.length <= most - 3) cut = next;
    whole = next;
  }
  return whole;
}
