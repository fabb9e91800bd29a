import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress, Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { findNotifier } from '../../activities/notifiers/index.ts';
import type { Message, Sent } from '../../activities/notifiers/notifier.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { messageOf } from '../support/notifier-message.ts';
import { wholeOf } from '../support/notifier-receivers.ts';
import type { SmtpReceiver } from '../support/smtp-receiver.ts';
import { headerOf, smtpReceiver } from '../support/smtp-receiver.ts';
import { withTempDir } from '../support/temp-dir.ts';

interface Sending {
  options?: Record<string, unknown>;
  message?: Partial<Message>;
  run?: Partial<Run>;
}

function send(mail: SmtpReceiver, { options = {}, message = {}, run = {} }: Sending = {}): Promise<Sent> {
  const given = Object.fromEntries(
    Object.entries({ ...mail.options, ...options }).filter(([, value]) => value !== null),
  );
  return findNotifier('email').send(given, messageOf(message), plainRun(run));
}

const withMail = (
  use: Parameters<typeof smtpReceiver>[1],
  work: (mail: SmtpReceiver) => Promise<void>,
): (() => Promise<void>) => {
  return () =>
    withTempDir(async (dir) => {
      await using mail = await smtpReceiver(dir, use);
      await work(mail);
    });
};

/** The parts of a mail, decoded. */
function textsOf(raw: string): string[] {
  return raw.split(/\r\n--[^\r\n]+\r\n/).map((part) => {
    const [head = '', ...rest] = part.split('\r\n\r\n');
    const body = rest.join('\r\n\r\n');
    if (/base64/i.test(head)) return Buffer.from(body, 'base64').toString('utf8');
    if (!/quoted-printable/i.test(head)) return body;
    const bytes = body.replaceAll(/=\r\n/g, '').replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => `%${hex}`);
    return decodeURIComponent(bytes.replaceAll(/%(?![0-9A-F]{2})/g, '%25'));
  });
}

test(
  'email: encrypted and logged in, as text and HTML, with the key of the message as its id',
  withMail({}, async (mail) => {
    const { thread } = await send(mail, { options: { to: ['ops@example.org', 'anna@example.org'] } });
    const [{ raw, secure, user, from, to } = { raw: '' }] = mail.mails;
    assert.deepEqual({ secure, user, from }, { secure: true, user: 'mailer', from: 'lifeboat@example.org' });
    assert.deepEqual(to, ['ops@example.org', 'anna@example.org']);
    assert.match(headerOf(raw, 'Subject') ?? '', /^\[P1\] wal\/shop: shop: nothing new in the vault/);
    assert.equal(headerOf(raw, 'Message-ID'), thread);
    assert.match(thread ?? '', /^<[0-9a-f]{40}@example\.org>$/);
    assert.equal(headerOf(raw, 'Auto-Submitted'), 'auto-generated');
    assert.equal(Date.parse(headerOf(raw, 'Date') ?? ''), Date.parse('2026-01-05T03:00:00Z'));
    const texts = textsOf(raw).join('\n');
    assert.match(texts, /Objective \*\*5 min\*\*\. Üsed: 6 min, at <b>db1<\/b>\./);
    assert.match(texts, /Üsed: 6 min, at &lt;b&gt;db1&lt;\/b&gt;\./);
    assert.match(texts, /acknowledge: lifeboat ack wal\/shop/);
  }),
);

test(
  'email: later messages of a group answer the first',
  withMail({}, async (mail) => {
    const { thread = '' } = await send(mail);
    const later = await send(mail, { message: { key: 'later', state: 'over', title: 'it works', thread } });
    assert.equal(later.thread, thread);
    const { raw = '' } = mail.mails[1] ?? {};
    assert.notEqual(headerOf(raw, 'Message-ID'), thread);
    assert.equal(headerOf(raw, 'In-Reply-To'), thread);
    assert.equal(headerOf(raw, 'References'), thread);
    assert.match(headerOf(raw, 'Subject') ?? '', /^Re: \[over\] wal\/shop: it works$/);
  }),
);

test(
  'email: nothing in a message becomes a header, a recipient or a file',
  withMail({}, async (mail) => {
    const title = 'shop\r\nBcc: eve@example.org\r\n\r\nnothing';
    await send(mail, { message: { title, body: '.\r\nRCPT TO:<eve@example.org>\r\n.\r\n/etc/passwd' } });
    const [{ raw, to } = { raw: '' }] = mail.mails;
    assert.deepEqual(to, ['ops@example.org']);
    assert.equal(headerOf(raw, 'Bcc'), undefined);
    assert.match(textsOf(raw).join('\n'), /\/etc\/passwd/);
    assert.doesNotMatch(textsOf(raw).join('\n'), /root:/);
  }),
);

test(
  'email: who has it already is not sent it again when others have to wait',
  withMail({}, async (mail) => {
    const options = { to: ['ops@example.org', 'grey@example.org', 'gone@example.org'] };
    mail.refuse.set('grey@example.org', 450).set('gone@example.org', 550);
    let latest: Progress | undefined;
    const progress = (update: Progress): void => void (latest = update);
    await assert.rejects(send(mail, { options, run: { progress } }), (error: unknown) => {
      assert.equal(failureTypeOf(error), 'Busy', wholeOf(error));
      assert.match(String(error), /for grey@example\.org, gone@example\.org \(reply 450\)/);
      return true;
    });
    mail.refuse.delete('grey@example.org');
    const again = { progress, resume: latest?.resume };
    await assert.rejects(send(mail, { options, run: again }), (error: unknown) => {
      assert.equal(failureTypeOf(error), 'ConfigInvalid');
      assert.match(String(error), /for gone@example\.org \(reply 550\)/);
      return true;
    });
    assert.deepEqual(mail.mails.map(({ to }) => to), [['ops@example.org'], ['grey@example.org']]); // prettier-ignore
  }),
);

test(
  'email: TLS from the beginning',
  withMail({ tls: 'implicit' }, async (mail) => {
    await send(mail);
    assert.equal(mail.mails[0]?.secure, true);
  }),
);

test(
  'email: without TLS and without a login where that is asked for',
  withMail({ tls: 'none' }, async (mail) => {
    await send(mail);
    assert.equal(mail.mails[0]?.secure, false);
  }),
);

test(
  'email: a server without STARTTLS gets neither password nor mail',
  withMail({ tls: 'not offered' }, async (mail) => {
    await assert.rejects(send(mail), (error: unknown) => {
      assert.equal(failureTypeOf(error), 'Precondition', wholeOf(error));
      assert.match(failureFacts(error).hint ?? '', /tls/);
      return true;
    });
    assert.deepEqual(mail.mails, []);
  }),
);

test(
  'email: a certificate that nobody vouches for is not trusted',
  withMail({}, async (mail) => {
    await assert.rejects(send(mail, { options: { ca: null } }), (error: unknown) => {
      assert.equal(failureTypeOf(error), 'Denied', wholeOf(error));
      assert.match(failureFacts(error).hint ?? '', /`ca`/);
      return true;
    });
    assert.deepEqual(mail.mails, []);
  }),
);
