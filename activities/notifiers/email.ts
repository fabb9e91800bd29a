import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { failure } from '../../workflows/model/failure.ts';
import { durationOption, pathOption } from '../io/option-types.ts';
import type { Run } from '../io/run.ts';
import { resolveSecret, secretRefSchema } from '../io/secret.ts';
import type { Smtp } from '../io/smtp.ts';
import { deliver } from '../io/smtp.ts';
import { composeMail } from '../io/compose-mail.ts';
import type { Message, Sent } from './notifier.ts';
import { defineNotifier } from './notifier.ts';
import { shortened } from './text.ts';

const address = z.email('an address like ops@example.org, without a name');

const PORTS = { starttls: 587, implicit: 465, none: 25 } as const;

const schema = z
  .strictObject({
    host: z.string().min(1).max(253),
    /** Default: 587, 465 with tls: implicit, 25 with tls: none. */
    port: z.int().min(1).max(65_535).optional(),
    /** starttls insists on it; none is for a relay on this host. */
    tls: z.enum(['starttls', 'implicit', 'none']).default('starttls'),
    /** PEM of an authority that the system does not know. */
    ca: pathOption.optional(),
    user: z.string().min(1).max(200).optional(),
    password: secretRefSchema.optional(),
    from: address,
    to: z.array(address).min(1).max(50),
    timeout: durationOption.prefault('30s'),
  })
  .refine(({ user, password }) => (user === undefined) === (password === undefined), {
    error: 'user and password together, or neither',
  })
  .refine(({ tls, password }) => tls !== 'none' || password === undefined, {
    error: 'tls: starttls or implicit where there is a password',
  });

type EmailOptions = z.infer<typeof schema>;

const MOST_SUBJECT = 200;

/**
 * Sends by SMTP (RFC 5321). The Message-ID is made of the message's key: a repeat after a lost reply has the same, which many a mailbox
 * shows once; later messages of a group answer the first.
 */
export const emailNotifier = defineNotifier<EmailOptions>({
  kind: 'email',
  schema,
  summary: 'sends a mail, as text and HTML, one thread for each run (SMTP)',
  usual: { priorities: ['P1', 'P2', 'P3', 'P4'] },
  describe: ({ to, host }) => `${to.join(', ')} by ${host}`,
  send,
});

/** Recipients that have it already, so that another attempt is for the others alone. */
interface Accepted {
  accepted: string[];
}

async function send(options: EmailOptions, message: Message, run: Run): Promise<Sent> {
  const { from, to } = options;
  const thread = message.thread;
  const messageId = messageIdOf(message.key, from);
  const raw = await composeMail({
    ...{ from, to, messageId, subject: subjectOf(message, thread), at: message.at },
    ...{ text: textOf(message), html: htmlOf(message), ...(thread === undefined ? {} : { inReplyTo: thread }) },
  });
  const before = new Set((run.resume as Accepted | undefined)?.accepted ?? []);
  const missing = to.filter((each) => !before.has(each));
  if (missing.length > 0) {
    const { accepted, refused } = await deliver(smtpOf(options), { from, to: missing, raw }, run);
    run.progress({ phase: 'sent', resume: { accepted: [...before, ...accepted] } satisfies Accepted });
    if (refused) throw refused;
  }
  return { thread: thread ?? messageId };
}

function smtpOf({ host, port, tls, ca, user, password, timeout }: EmailOptions): Smtp {
  return {
    ...{ host, port: port ?? PORTS[tls], tls, timeoutMs: timeout },
    ...(ca === undefined ? {} : { ca: readAuthority(ca) }),
    ...(user === undefined || !password ? {} : { user, password: resolveSecret(password, 'email password') }),
  };
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw failure('ConfigInvalid', `email ca: ${path} cannot be read`, {
      ...{ place: path, expected: 'a PEM file', found: code, hint: `check that this user may read ${path}` },
      cause: error,
    });
  }
}

function messageIdOf(key: string, from: string): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 40);
  return `<${digest}@${from.slice(from.lastIndexOf('@') + 1)}>`;
}

/** Who answers keeps the subject: some mailboxes make threads of subjects alone. */
function subjectOf({ priority, title, state, run }: Message, thread: string | undefined): string {
  const line = title.replaceAll(/\s+/g, ' ');
  const head = state === 'open' ? priority : state;
  return shortened(`${thread === undefined ? '' : 'Re: '}[${head}] ${run}: ${line}`, MOST_SUBJECT);
}

function textOf({ title, body, run, source, at, priority, state }: Message): string {
  const lines = [title, '', body, '', `run: ${run}`, `source: ${source}`, `at: ${at}`, `${priority}, ${state}`];
  const next = state === 'open' ? ['', `look: lifeboat status ${run}`, `acknowledge: lifeboat ack ${run}`] : [];
  return [...lines, ...next, ''].join('\n');
}

function htmlOf(message: Message): string {
  const { title, body, run, source, at, priority, state } = message;
  const rows = { run, source, at, state: `${priority}, ${state}` };
  const cells = Object.entries(rows).map(([name, value]) => `<tr><td>${name}</td><td>${escapeHtml(value)}</td></tr>`);
  return `<!doctype html><html><body><h3>${escapeHtml(title)}</h3><pre>${escapeHtml(body)}</pre><table>${cells.join('')}</table></body></html>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeHtml(value: string): string {
  return value.replaceAll(/[&<>"]/g, (letter) => ENTITIES[letter] ?? letter);
}
