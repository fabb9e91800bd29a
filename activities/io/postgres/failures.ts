import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure, findFailure } from '../../../workflows/model/failure.ts';

/** Where a connection goes, as failures show it. */
export interface Address {
  host: string;
  port: number;
  user: string;
  database: string;
  replication: boolean;
  tls: boolean;
  /** Our own address as the socket has it, once connected. */
  from?: string;
}

/** Fields of an ErrorResponse (manual 55.8); node-postgres and our own reader use the same names. */
interface ServerFields {
  code?: string;
  message?: string;
  detail?: string;
  hint?: string;
  routine?: string;
}

interface Meaning {
  type: FailureType;
  hint: (at: Address) => string;
}

const AGAIN = 'it is tried again by itself';

/** SQLSTATE (manual, appendix A) or a class of it (first two characters) to what it means for us. */
const BY_STATE: Record<string, Meaning> = {
  '28000': { type: 'Denied', hint: (at) => `check that role "${at.user}" exists and may log in` },
  '28P01': { type: 'Denied', hint: (at) => `set connection.password to that of role "${at.user}"` },
  '42501': {
    type: 'Denied',
    hint: (at) =>
      at.replication ? `alter role "${at.user}" replication` : `grant role "${at.user}" what the message names`,
  },
  '53300': {
    type: 'Busy',
    hint: (at) =>
      at.replication ? 'raise max_wal_senders and restart, or end an unused walsender' : 'raise max_connections',
  },
  '3D000': { type: 'NotFound', hint: (at) => `create database "${at.database}", or correct connection.database` },
  '42704': { type: 'NotFound', hint: () => 'lifeboat doctor' },
  '58P01': { type: 'NotFound', hint: () => 'the server no longer has that WAL: take a new base backup' },
  '55006': { type: 'Busy', hint: () => 'another session holds it: see pg_stat_replication' },
  '55P03': { type: 'Busy', hint: () => AGAIN },
  '57P04': { type: 'NotFound', hint: () => 'the database was dropped' },
  XX001: { type: 'Integrity', hint: () => 'a page of the cluster is damaged: see the server log, then pg_amcheck' },
  XX002: { type: 'Integrity', hint: () => 'an index of the cluster is damaged: see the server log, then reindex' },
  '08': { type: 'Unavailable', hint: () => AGAIN },
  '53': { type: 'Unavailable', hint: () => 'the server lacks memory, disk or files: see its log' },
  '57': { type: 'Unavailable', hint: () => AGAIN },
  '58': { type: 'Unavailable', hint: () => 'see the server log' },
  '0A': { type: 'Unsupported', hint: () => 'lifeboat doctor' },
  '55': { type: 'Precondition', hint: () => 'lifeboat doctor' },
};

const BY_ERRNO: Record<string, Meaning> = {
  ECONNREFUSED: { type: 'Unavailable', hint: () => 'start the server, or correct connection.host and connection.port' },
  ENOTFOUND: { type: 'Unavailable', hint: () => 'correct connection.host, or its name in DNS' },
  ENOENT: { type: 'Unavailable', hint: () => 'no socket there: start the server, or correct connection.host' },
  EACCES: { type: 'Denied', hint: () => 'this user may not open the socket' },
};

/** Codes of OpenSSL and of Node's certificate check. */
const TLS =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO|CERT_|CRL_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Five characters; none that PostgreSQL defines starts with E, as those of errno do. */
const isSqlState = (code: string): boolean => /^(?!E)[0-9A-Z]{5}$/.test(code);

/** SQLSTATE of the server's answer behind a failure of ours, for callers that decide by it. */
export function sqlStateOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as ServerFields;
    if (typeof code === 'string' && isSqlState(code)) return code;
  }
  return undefined;
}

/** What went wrong with a connection or a statement, by SQLSTATE or errno, as one of ours. */
export function postgresFailure(at: Address, error: unknown): Error {
  if (findFailure(error)) return error as Error;
  const fields = error as ServerFields;
  const { type, hint } = meaningOf(at, fields);
  const place = placeOf(at);
  const says = [fields.message ?? 'no reason given', fields.detail, fields.hint].filter((text) => text).join('; ');
  return failure(type, `postgres ${place}: ${says}`, {
    place,
    expected: expectedOf(type, at),
    found: fields.code ?? 'connection closed',
    hint,
    cause: error,
  });
}

function expectedOf(type: FailureType, at: Address): string {
  switch (type) {
    case 'Denied':
      return `a server that lets role "${at.user}" do this`;
    case 'NotFound':
      return 'a name that the server knows';
    case 'Busy':
      return 'something free of it';
    case 'Integrity':
      return 'undamaged pages';
    case 'Unavailable':
      return 'a server that answers';
    default:
      return 'a server that can do this';
  }
}

export function placeOf(at: Address): string {
  const database = at.replication ? 'replication' : at.database;
  return `${at.host}:${at.port}/${database} as ${at.user}`;
}

function meaningOf(at: Address, fields: ServerFields): { type: FailureType; hint: string } {
  const { code = '', routine } = fields;
  if (code === '28000' && routine === 'ClientAuthentication') return { type: 'Denied', hint: hbaHint(at) };
  if (TLS.test(code)) return tlsMeaning(code);
  const known =
    BY_STATE[code] ?? BY_ERRNO[code] ?? (/^[0-9A-Z]{5}$/.test(code) ? BY_STATE[code.slice(0, 2)] : undefined);
  if (known) return { type: known.type, hint: known.hint(at) };
  // A server that answers has decided; a connection that broke without an answer may come back.
  if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E')) return { type: 'Precondition', hint: 'see the server log' };
  return { type: 'Unavailable', hint: `check server and network; ${AGAIN}` };
}

function tlsMeaning(code: string): { type: FailureType; hint: string } {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return {
      type: 'Denied',
      hint: 'set connection.host to a name in the certificate, or connection.tls.mode: require',
    };
  if (code === 'CERT_HAS_EXPIRED')
    return { type: 'Denied', hint: 'renew ssl_cert_file of the server; connection.tls.mode: require looks at no date' };
  if (/^(ERR_SSL|ERR_OSSL|EPROTO)/.test(code))
    return { type: 'Precondition', hint: 'check ssl_min_protocol_version of the server, connection.tls.cert and key' };
  return { type: 'Denied', hint: 'set connection.tls.ca to the certificate that signed the server, or mode: require' };
}

/** The line of pg_hba.conf that is missing (manual 20.1). */
export function hbaLine(at: Address): string {
  const database = at.replication ? 'replication' : at.database;
  if (at.host.startsWith('/')) return `local ${database} ${at.user} scram-sha-256`;
  const from = at.from === undefined ? 'ADDRESS/32' : `${at.from}/${at.from.includes(':') ? 128 : 32}`;
  return `${at.tls ? 'hostssl' : 'host'} ${database} ${at.user} ${from} scram-sha-256`;
}

function hbaHint(at: Address): string {
  const encrypted = at.tls ? '' : ', or set connection.tls.mode: require where only encrypted connections are let in';
  return `add "${hbaLine(at)}" to pg_hba.conf and run: select pg_reload_conf()${encrypted}`;
}
