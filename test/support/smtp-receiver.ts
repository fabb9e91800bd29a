import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { selfSigned } from './certificate.ts';
import type { Fault, Receiver } from './notifier-receivers.ts';
import { secretOf } from './notifier-receivers.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const PASSWORD = 'password-of-the-mailer';

export interface ReceivedMail {
  from: string;
  to: string[];
  raw: string;
  secure: boolean;
  user: string | undefined;
}

export interface SmtpReceiver extends Receiver {
  mails: ReceivedMail[];
  /** Replies to RCPT of these addresses from now on. */
  refuse: Map<string, number>;
}

class Reply extends Error {
  readonly responseCode: number;

  constructor(responseCode: number) {
    super(`no, ${PASSWORD} is not wanted`);
    this.responseCode = responseCode;
  }
}

const REPLIES: Partial<Record<Fault, number>> = { busy: 451, down: 421, denied: 535, refused: 550 };

/** A mail server of its own that wants STARTTLS and a login, behind a wire that can be cut. */
export async function smtpReceiver(
  dir: string,
  use: { tls?: 'starttls' | 'implicit' | 'none' | 'not offered' } = {},
): Promise<SmtpReceiver> {
  const { tls = 'starttls' } = use;
  const { cert, key } = selfSigned('127.0.0.1');
  const ca = join(dir, 'authority.pem');
  await writeFile(ca, cert);
  const mails: ReceivedMail[] = [];
  const refuse = new Map<string, number>();
  let fault: Fault | undefined;
  let calls = 0;
  const taken = (...which: Fault[]): Fault | undefined => {
    if (fault === undefined || !which.includes(fault)) return undefined;
    const now = fault;
    fault = undefined;
    return now;
  };
  const cut = (): void => {
    proxy.cut();
    proxy.mend();
  };
  const hasNoTls = tls === 'none' || tls === 'not offered';
  const server = new SMTPServer({
    ...{
      secure: tls === 'implicit',
      key,
      cert,
      disabledCommands: hasNoTls ? ['STARTTLS'] : [],
      disableReverseLookup: true,
    },
    ...{ authOptional: tls === 'none', allowInsecureAuth: false, logger: false, closeTimeout: 100 },
    onConnect: (_session, done) => {
      calls += 1;
      receiver.onCall?.();
      const now = taken('down');
      done(now ? new Reply(421) : null);
    },
    onAuth: ({ username, password }, _session, done) => {
      if (taken('denied') || username !== 'mailer' || password !== PASSWORD) return done(new Reply(535));
      done(null, { user: username });
    },
    onMailFrom: (_address, _session, done) => {
      const now = taken('hang', 'cut');
      if (now === 'cut') return cut();
      if (now !== 'hang') done();
    },
    onRcptTo: ({ address }, _session, done) => {
      const now = taken('busy', 'refused');
      const code = now ? REPLIES[now] : refuse.get(address);
      done(code === undefined ? null : new Reply(code));
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString('utf8'),
          ...{ secure: session.secure, user: session.user as string | undefined },
        });
        const now = taken('lost', 'late');
        if (now === 'lost') return cut();
        if (now !== 'late') done();
      });
    },
  });
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const proxy = await startTcpProxy(`127.0.0.1:${(server.server.address() as AddressInfo).port}`);
  const login = tls === 'none' ? {} : { user: 'mailer', password: secretOf(PASSWORD) };
  const receiver: SmtpReceiver = {
    options: {
      ...{
        host: '127.0.0.1',
        port: Number(proxy.address.split(':')[1]),
        tls: tls === 'not offered' ? 'starttls' : tls,
      },
      ...{ ca, ...login, from: 'lifeboat@example.org', to: ['ops@example.org'] },
    },
    ...{ mails, refuse, place: proxy.address, tellsRepeats: true, secrets: [PASSWORD] },
    fail: (next) => (fault = next),
    calls: () => calls,
    // As a mailbox does: one of two with the same Message-ID.
    told: () => [...new Map(mails.map(({ raw }) => [headerOf(raw, 'Message-ID'), raw])).values()],
    [Symbol.asyncDispose]: async () => {
      if (!server.server.listening) return;
      await proxy[Symbol.asyncDispose]();
      await new Promise<void>((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

/** One header of a mail, unfolded and decoded (RFC 2047, the form with "Q"). */
export function headerOf(raw: string, name: string): string | undefined {
  const [head = ''] = raw.split('\r\n\r\n');
  const unfolded = head.replaceAll(/\r\n[ \t]+/g, ' ');
  const value = new RegExp(`^${name}: (.*)$`, 'im').exec(unfolded)?.[1];
  const bytes = (text: string): string => decodeURIComponent(text.replaceAll('_', ' ').replaceAll('=', '%'));
  return value?.replaceAll('?= =?', '?==?').replaceAll(/=\?UTF-8\?Q\?([^?]*)\?=/g, (_, text: string) => bytes(text));
}
