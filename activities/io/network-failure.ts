import type { FailureType } from '../../workflows/model/failure.ts';

export interface NetworkMeaning {
  type: FailureType;
  /** The code it was told by. */
  code: string;
  hint: string;
}

const AGAIN = 'it is tried again by itself';

/** errno(3), getaddrinfo(3) and the codes of Node's HTTP client: the call got no answer. */
const NO_ANSWER: Record<string, string> = {
  ECONNREFUSED: 'start the server, or correct host and port',
  ENOTFOUND: 'correct the host name, or its entry in DNS',
  EAI_AGAIN: `DNS does not answer; ${AGAIN}`,
  ECONNRESET: `the connection was cut; ${AGAIN}`,
  ECONNABORTED: `the connection was cut; ${AGAIN}`,
  EPIPE: `the connection was cut; ${AGAIN}`,
  ETIMEDOUT: `the server does not answer; check network and firewall; ${AGAIN}`,
  EHOSTUNREACH: 'check network and routes',
  ENETUNREACH: 'check network and routes',
  EADDRNOTAVAIL: `no local port is free; ${AGAIN}`,
  ERR_STREAM_PREMATURE_CLOSE: `the connection was cut; ${AGAIN}`,
};

const NEVER_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/;

/** With this code a request has never left: it has changed nothing. */
export function wasNeverSent(code: string): boolean {
  return NEVER_SENT.test(code);
}

/** Codes of OpenSSL and of Node's certificate check. */
const NOT_TRUSTED = /^(ERR_TLS_CERT|CERT_|CRL_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA)/;
const NO_TLS = /^(ERR_SSL|ERR_OSSL|EPROTO)/;

/**
 * What a failed call over the network means, by the code of the error or of its causes; undefined when there is no such
 * code, and then it is not the network's doing.
 */
export function networkMeaning(error: unknown): NetworkMeaning | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    const known = typeof code === 'string' ? meaningOf(code) : undefined;
    if (known) return known;
    // What an HTTP client calls its own deadline has no errno.
    if (at.name === 'TimeoutError')
      return { type: 'Unavailable', code: 'timeout', hint: NO_ANSWER['ETIMEDOUT'] ?? AGAIN };
    const first: unknown = at instanceof AggregateError ? at.errors[0] : undefined;
    if (first !== undefined) return networkMeaning(first);
  }
  return undefined;
}

function meaningOf(code: string): NetworkMeaning | undefined {
  const noAnswer = NO_ANSWER[code];
  if (noAnswer !== undefined) return { type: 'Unavailable', code, hint: noAnswer };
  if (code.startsWith('UND_ERR_')) return { type: 'Unavailable', code, hint: `check the network; ${AGAIN}` };
  if (code.startsWith('HPE_')) return { type: 'Unavailable', code, hint: 'what answers there does not speak HTTP' };
  if (NOT_TRUSTED.test(code))
    return { type: 'Denied', code, hint: 'name the authority of its certificate in NODE_EXTRA_CA_CERTS' };
  if (NO_TLS.test(code)) return { type: 'Precondition', code, hint: 'check whether it is http: or https:' };
  return undefined;
}

const LONGEST_WAIT_MS = 3_600_000;

/** Retry-After of RFC 9110, 10.2.3 (seconds or a date) in milliseconds, at most an hour. */
export function retryAfterMsOf(header: string | null | undefined, nowMs: number): number | undefined {
  if (header === null || header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_WAIT_MS);
}
