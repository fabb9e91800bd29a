import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import pg from 'pg';
import { failure, failureFacts, failureTypeOf } from '../../../workflows/model/failure.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import { fileFailure } from '../file-failure.ts';
import { resolveSecret } from '../secret.ts';
import type { Address } from './failures.ts';
import { placeOf, postgresFailure } from './failures.ts';
import type { ServerOptions, TlsOptions } from './options.ts';
import { tlsOf } from './options.ts';
import { ReusingSocket } from './socket.ts';
import { checkServerVersion } from './version.ts';

export { connectionSchema, serverSchema } from './options.ts';
export type { ConnectionOptions, ServerOptions } from './options.ts';

export type SqlClient = pg.Client;

export interface ConnectMode {
  /** A physical walsender instead of an SQL session. */
  replication?: boolean;
  /** A pooler, or its console: it takes no settings at the start, and its version is no server's. */
  pooler?: boolean;
  /** Instead of the one in the options. */
  database?: string;
  /** Longest a statement may take, milliseconds; 0 = no limit. Default one minute. */
  statementTimeoutMs?: number;
  /** Statements of somebody else: names without a schema mean what they mean in his own sessions, not what PostgreSQL brings. */
  theirSearchPath?: boolean;
  /** Settings of the session, before anything runs in it. */
  settings?: Record<string, string>;
  /** Closes the connection, whatever it is doing; the running statement fails with the signal's reason. */
  signal?: AbortSignal;
}

/** What node-postgres keeps below its client, as far as we use it. */
interface Wire extends NodeJS.EventEmitter {
  stream: Socket;
}

interface Session {
  at: Address;
  version: string;
  signal?: AbortSignal;
}

const sessions = new WeakMap<SqlClient, Session>();

const STATEMENT_TIMEOUT_MS = 60_000;
/** A dead host is noticed by the kernel this long after the last byte. */
const KEEPALIVE_MS = 10_000;

export function addressOf(options: ServerOptions, mode: ConnectMode = {}): Address {
  const { host, port, user, database } = options;
  const tls = tlsOf(options).mode !== 'disable';
  return { host, port, user, database: mode.database ?? database, replication: mode.replication === true, tls };
}

/** The socket below a client: the TLS one where TLS is spoken. */
export function socketOf(client: SqlClient): Socket {
  return (client as unknown as { connection: Wire }).connection.stream;
}

export function sessionOf(client: SqlClient): Session {
  const session = sessions.get(client);
  if (!session) throw failure('Bug', 'client was not made by connect');
  return session;
}

/**
 * Connects, and refuses a server that is too old or untested. The caller ends the client.
 * Failures: Unavailable, Busy, Denied, NotFound, Precondition (TLS), Unsupported (version), ConfigInvalid (secret).
 */
export async function connect(options: ServerOptions, mode: ConnectMode = {}): Promise<SqlClient> {
  mode.signal?.throwIfAborted();
  const client = new pg.Client(clientConfig(options, mode));
  // Errors of an idle connection come back at the next statement; without a listener they would end the process.
  client.on('error', () => {});
  const session: Session = { at: addressOf(options, mode), version: '', ...(mode.signal && { signal: mode.signal }) };
  sessions.set(client, session);
  await establish(client, { session, options });
  try {
    if (!mode.pooler) checkServerVersion(session.at, session.version, options.allowNewerServer);
    return client;
  } catch (error) {
    await client.end();
    throw error;
  }
}

async function establish(client: SqlClient, to: { session: Session; options: ServerOptions }): Promise<void> {
  const { session, options } = to;
  const seen = watch(client, session);
  const close = (): void => void socketOf(client).destroy();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    close();
  }, options.connectTimeout);
  session.signal?.addEventListener('abort', close, { once: true });
  try {
    await client.connect();
  } catch (error) {
    session.signal?.removeEventListener('abort', close);
    session.signal?.throwIfAborted();
    throw late ? silent(session.at, options) : refused(session.at, { error, spokeTls: seen.spokeTls });
  } finally {
    clearTimeout(timer);
  }
  socketOf(client).once('close', () => session.signal?.removeEventListener('abort', close));
}

/** Notes what the server says of itself while it accepts the connection, before any statement. */
function watch(client: SqlClient, session: Session): { spokeTls: boolean } {
  const seen = { spokeTls: false };
  const { connection } = client as unknown as { connection: Wire };
  connection.once('connect', () => {
    const from = connection.stream.localAddress;
    if (from !== undefined) session.at.from = from;
  });
  connection.once('sslconnect', () => (seen.spokeTls = true));
  connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
    if (message.parameterName === 'server_version') session.version = message.parameterValue;
  });
  return seen;
}

function silent(at: Address, options: ServerOptions): Error {
  const wait = formatDuration(options.connectTimeout);
  return failure('Unavailable', `postgres ${placeOf(at)} did not answer within ${wait}`, {
    place: placeOf(at),
    expected: `an answer within ${wait}`,
    found: 'silence',
    hint: 'check connection.host, connection.port and the firewall, or raise connection.connectTimeout',
  });
}

/** An answer to the TLS request that is not "yes" reaches us without a code: only the order of events tells. */
function refused(at: Address, what: { error: unknown; spokeTls: boolean }): Error {
  const { code, syscall } = what.error as { code?: string; syscall?: string };
  if (!at.tls || what.spokeTls || at.from === undefined || code !== undefined || syscall !== undefined)
    return postgresFailure(at, what.error);
  return failure('Precondition', `postgres ${placeOf(at)} does not speak TLS`, {
    place: placeOf(at),
    expected: 'ssl = on',
    found: 'ssl = off',
    hint: 'set ssl = on with a certificate in postgresql.conf and reload, or connection.tls: { mode: disable }',
  });
}

/** What role or database have set must not change what our own statements say: a name in them is one of PostgreSQL's. */
const OWN_SEARCH_PATH = 'pg_catalog,pg_temp';

function settingsOf({ theirSearchPath, settings }: ConnectMode): string {
  const all = {
    ...{ datestyle: 'ISO', timezone: 'UTC' },
    ...(theirSearchPath ? {} : { search_path: OWN_SEARCH_PATH }),
    ...settings,
  };
  return startOptions(all);
}

function clientConfig(options: ServerOptions, mode: ConnectMode): pg.ClientConfig {
  const { host, port, user, password } = options;
  const tls = tlsOf(options);
  return {
    ...{ host, port, user, database: mode.database ?? options.database },
    ...{ application_name: 'lifeboat', ...(mode.pooler ? {} : { options: settingsOf(mode) }) },
    ...{ keepAlive: true, keepAliveInitialDelayMillis: KEEPALIVE_MS, sslnegotiation: 'postgres' },
    ssl: tls.mode === 'disable' ? false : tlsConfig(tls),
    // A function: the secret is read only when the server asks, and no other source of passwords is looked at.
    password: () => {
      if (password) return resolveSecret(password, 'connection.password').reveal();
      throw failure('Denied', `postgres ${placeOf(addressOf(options, mode))} asks for a password`, {
        expected: 'connection.password',
        found: 'not set',
        hint: 'set connection.password: { env: NAME }',
      });
    },
    ...(mode.replication
      ? { replication: 'true', ...(tls.mode === 'disable' ? { stream: () => new ReusingSocket() } : {}) }
      : limitsOf(mode)),
  } as pg.ClientConfig;
}

function limitsOf({ pooler, statementTimeoutMs: timeoutMs = STATEMENT_TIMEOUT_MS }: ConnectMode): pg.ClientConfig {
  if (pooler) return { query_timeout: timeoutMs };
  return { statement_timeout: timeoutMs, query_timeout: timeoutMs === 0 ? 0 : timeoutMs + 5000 };
}

/** Manual 32.1.2, "options": blanks and backslashes are escaped. */
export function startOptions(settings: Record<string, string>): string {
  const given = Object.entries(settings).map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, '\\$&')}`);
  return given.join(' ');
}

function tlsConfig(tls: TlsOptions): Record<string, unknown> {
  const files = Object.entries({ ca: tls.ca, cert: tls.cert, key: tls.key });
  const read = files.flatMap(([name, path]) => (path === undefined ? [] : [[name, readTlsFile(name, path)] as const]));
  return { rejectUnauthorized: tls.mode === 'verify-full', ...Object.fromEntries(read) };
}

function readTlsFile(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const said = fileFailure(path, error);
    const { hint, ...facts } = failureFacts(said);
    throw failure(failureTypeOf(said) ?? 'Unavailable', `connection.tls.${name} ${path} cannot be read`, {
      ...facts,
      hint: `correct connection.tls.${name}, or: ${hint ?? 'check the file'}`,
      cause: error,
    });
  }
}

/** One statement's rows, with our failures. */
export function query<Row extends pg.QueryResultRow>(
  client: SqlClient,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return answered<Row>(client, { text, values });
}

/** node-postgres takes it, its types do not know it. */
interface ExtendedQuery extends pg.QueryConfig {
  queryMode: 'extended';
}

/** For a text with something of somebody else in it: the server refuses it when it is more than one statement. */
export function queryOne<Row extends pg.QueryResultRow>(client: SqlClient, text: string): Promise<Row[]> {
  const config: ExtendedQuery = { text, queryMode: 'extended' };
  return answered<Row>(client, config);
}

async function answered<Row extends pg.QueryResultRow>(client: SqlClient, config: pg.QueryConfig): Promise<Row[]> {
  try {
    return (await client.query<Row>(config)).rows;
  } catch (error) {
    const { at, signal } = sessionOf(client);
    signal?.throwIfAborted();
    throw postgresFailure(at, error);
  }
}

/** Opens, uses, closes. */
export async function withConnection<T>(
  options: ServerOptions,
  mode: ConnectMode,
  use: (client: SqlClient) => Promise<T>,
): Promise<T> {
  const client = await connect(options, mode);
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
