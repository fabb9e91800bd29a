import { getSystemErrorName } from 'node:util';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import type { FailureType } from '../../workflows/model/failure.ts';
import { failure } from '../../workflows/model/failure.ts';
import { networkMeaning } from './network-failure.ts';
import { orAborted } from './or-aborted.ts';
import type { Run } from './run.ts';
import type { Secret } from './secret.ts';

/** A server that takes mail. */
export interface Smtp {
  host: string;
  port: number;
  /** starttls insists on it. */
  tls: 'starttls' | 'implicit' | 'none';
  /** PEM. */
  ca?: string;
  user?: string;
  password?: Secret;
  /** For the whole conversation. */
  timeoutMs: number;
}

export interface Envelope {
  from: string;
  to: string[];
  raw: Buffer;
}

/** Whom the server has taken it for, and why not for the others. */
export interface Delivered {
  accepted: string[];
  refused?: Error;
}

/**
 * One conversation (RFC 5321): connect, encrypt, log in, send, quit. What the server says is told by its codes alone, for its texts
 * may repeat what it was sent. Unavailable also when the connection is cut behind the data: whether it was taken then nobody knows.
 */
export async function deliver(smtp: Smtp, envelope: Envelope, run: Run): Promise<Delivered> {
  const { host, port, tls, ca, timeoutMs } = smtp;
  const connection = new SMTPConnection({
    ...{ host, port, secure: tls === 'implicit', requireTLS: tls === 'starttls', ignoreTLS: tls === 'none' },
    ...{ connectionTimeout: timeoutMs, greetingTimeout: timeoutMs, socketTimeout: timeoutMs, logger: false },
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
  const deadline = new AbortController();
  const ended = new AbortController();
  run.clock.sleep(timeoutMs, ended.signal).then(
    () => deadline.abort(),
    () => undefined,
  );
  try {
    const signal = AbortSignal.any([run.signal, deadline.signal]);
    const delivered = await orAborted(signal, () => converse(connection, smtp, envelope));
    connection.quit();
    return delivered;
  } catch (error) {
    run.signal.throwIfAborted();
    throw deadline.signal.aborted ? noAnswer(smtp) : meaningOf(smtp, error);
  } finally {
    ended.abort();
    // Whatever way it ended, nobody waits for the server's good-bye.
    connection.close();
  }
}

interface Info {
  accepted?: string[];
  rejected?: string[];
  rejectedErrors?: SmtpError[];
}

interface SmtpError extends Error {
  code?: string;
  command?: string;
  responseCode?: number;
  errno?: number;
  /** Code of OpenSSL. */
  untrusted?: string;
}

async function converse(connection: SMTPConnection, smtp: Smtp, { from, to, raw }: Envelope): Promise<Delivered> {
  const { user, password } = smtp;
  let failed: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    failed = reject;
  });
  broken.catch(() => undefined);
  // Errors outside of a call, and a server that hangs up, which is no error to the library.
  connection.on('error', (error: SmtpError) => {
    const untrusted = trustProblem(connection);
    failed(Object.assign(error, untrusted === undefined ? {} : { untrusted }));
  });
  connection.once('end', () => failed(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
  const step = <T>(start: (done: (error?: Error | null, value?: T) => void) => void): Promise<T | undefined> => {
    const work = new Promise<T | undefined>((resolve, reject) => {
      start((error, value) => (error ? reject(error) : resolve(value)));
    });
    return Promise.race([work, broken]);
  };
  await step<void>((done) => connection.connect((error?: Error) => done(error)));
  if (user !== undefined && password)
    await step<void>((done) => connection.login({ user, pass: password.reveal() } as never, (error) => done(error)));
  const info = await step<Info>((done) =>
    connection.send({ from, to, size: raw.length }, raw, (error, value) => done(error, value as unknown as Info)),
  );
  const { rejected = [], rejectedErrors = [] } = info ?? {};
  if (rejected.length === 0) return { accepted: to };
  const worst = rejectedErrors.find(({ responseCode = 0 }) => responseCode < 500) ?? rejectedErrors[0];
  const refused = meaningOf(smtp, worst ?? new Error('rejected'), rejected);
  return { accepted: to.filter((each) => !rejected.includes(each)), refused };
}

function placeOf({ host, port }: Smtp): string {
  return `${host}:${port}`;
}

function noAnswer(smtp: Smtp): Error {
  const place = placeOf(smtp);
  return failure('Unavailable', `mail server ${place} did not answer within ${smtp.timeoutMs} ms`, {
    ...{ place, expected: `an answer within ${smtp.timeoutMs} ms`, found: 'none' },
    hint: 'check the server, or raise `timeout`',
  });
}

interface Meaning {
  type: FailureType;
  found: string;
  hint: string;
}

/** Codes of the library, replies of the server, then those of the network. */
function meaningOf(smtp: Smtp, thrown: unknown, recipients: readonly string[] = []): Error {
  const error = thrown as SmtpError;
  const place = placeOf(smtp);
  const meaning = replyMeaning(error) ?? codeMeaning(error, smtp);
  if (!meaning) return failure('Bug', `mail server ${place}: ${error.name}`, { place });
  const { type, found, hint } = meaning;
  const whom = recipients.length > 0 ? ` for ${recipients.join(', ')}` : '';
  return failure(type, `mail server ${place} does not take it${whom} (${found})`, {
    ...{ place, expected: 'a mail that is taken', found, hint },
  });
}

/** 4yz may go well another time, 5yz will not (RFC 5321, 4.2.1). */
function replyMeaning({ responseCode, code, command }: SmtpError): Meaning | undefined {
  if (responseCode === undefined || responseCode < 400) return undefined;
  const found = `reply ${responseCode}`;
  if (responseCode < 500) {
    const type = responseCode === 421 ? 'Unavailable' : 'Busy';
    return { type, found, hint: 'the server asks for another time; it is tried again' };
  }
  if (code === 'ETLS') return { type: 'Precondition', found, hint: 'check `tls`: the server has no STARTTLS' };
  if (code === 'EAUTH' || [530, 534, 535, 538].includes(responseCode))
    return { type: 'Denied', found, hint: 'check `user` and `password`' };
  if (code === 'EENVELOPE' && command === 'MAIL FROM')
    return { type: 'Denied', found, hint: 'check `from`: the server does not send for it' };
  if (responseCode === 554) return { type: 'Denied', found, hint: 'the server does not want it: see its log' };
  return { type: 'ConfigInvalid', found, hint: 'correct `to`' };
}

function codeMeaning(error: SmtpError, { tls }: Smtp): Meaning | undefined {
  const { code = '', untrusted } = error;
  if (untrusted !== undefined)
    return { type: 'Denied', found: untrusted, hint: 'name the authority of its certificate in `ca`' };
  const known = networkMeaning(withOwnCode(error));
  if (known) return { ...known, found: known.code };
  if (code === 'ETLS') return { type: 'Precondition', found: code, hint: `check \`tls: ${tls}\` and \`port\`` };
  if (code === 'EAUTH' || code === 'ENOAUTH')
    return { type: 'Denied', found: code, hint: 'check `user` and `password`' };
  if (code === 'EDNS') return { type: 'Unavailable', found: code, hint: 'correct `host`, or its entry in DNS' };
  if (['ECONNECTION', 'ESOCKET', 'EPROTOCOL'].includes(code))
    return { type: 'Unavailable', found: code, hint: 'check `host`, `port` and `tls`; it is tried again' };
  return undefined;
}

/** The library puts a code of its own in the place of the one of the system. */
function withOwnCode(error: SmtpError): Error {
  if (typeof error.errno !== 'number') return error;
  return Object.assign(new Error(error.name), { code: getSystemErrorName(error.errno) });
}

/** Why the certificate of the other side was not taken. */
function trustProblem(connection: SMTPConnection): string | undefined {
  const { _socket: socket } = connection as { _socket?: { authorizationError?: unknown } };
  const code = socket?.authorizationError;
  return typeof code === 'string' ? code : undefined;
}
