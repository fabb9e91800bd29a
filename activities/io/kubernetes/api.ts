import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure } from '../../../workflows/model/failure.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import { networkMeaning, retryAfterMsOf, wasNeverSent } from '../network-failure.ts';
import type { Run } from '../run.ts';
import type { KubeAccess } from './access.ts';

export interface KubeCall {
  method: 'GET' | 'PATCH' | 'POST';
  path: string;
  body?: unknown;
  /** The right that it takes: "patch deployments.apps". */
  right: string;
}

const AGAIN = 'it is tried again by itself';

/** One API server. */
export class KubeApi {
  readonly #access: KubeAccess;
  readonly #run: Run;
  readonly #timeoutMs: number;

  constructor(access: KubeAccess, run: Run, timeoutMs: number) {
    this.#access = access;
    this.#run = run;
    this.#timeoutMs = timeoutMs;
  }

  /** The object that is answered. Busy for a conflict: somebody else has changed it, and nothing was done. */
  async ask(call: KubeCall): Promise<Record<string, unknown>> {
    const { signal } = this.#run;
    signal.throwIfAborted();
    const limit = AbortSignal.timeout(this.#timeoutMs);
    let answer: { status: number; body: string; retryAfter: string | undefined };
    try {
      answer = await this.#send(call, AbortSignal.any([signal, limit]));
    } catch (error) {
      signal.throwIfAborted();
      throw this.#noAnswer(call, error, limit.aborted);
    }
    const { status, body, retryAfter } = answer;
    const json = objectIn(body);
    if (status >= 200 && status < 300) {
      if (json) return json;
      throw this.#unread(call, body);
    }
    throw this.#refused(call, { status, message: String(json?.['message'] ?? body).slice(0, 300), retryAfter });
  }

  async #send(
    { method, path, body }: KubeCall,
    signal: AbortSignal,
  ): Promise<{ status: number; body: string; retryAfter: string | undefined }> {
    const { server, ca, cert, key, token, insecure } = this.#access;
    const url = new URL(`${server}${path}`);
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': type }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const tls = { ca, cert, key, rejectUnauthorized: insecure !== true };
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method, headers, signal };
      const sent =
        url.protocol === 'http:'
          ? httpRequest(url, options, resolve)
          : httpsRequest(url, { ...options, ...tls }, resolve);
      sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
    const response = await answered;
    const { statusCode = 0, headers: said } = response;
    return { status: statusCode, body: await text(response), retryAfter: said['retry-after'] };
  }

  #place({ path }: KubeCall): string {
    return `${this.#access.server}${path.split('?')[0]}`;
  }

  #refused(call: KubeCall, said: { status: number; message: string; retryAfter: string | undefined }): Error {
    const { status, message, retryAfter } = said;
    const { type, hint } = meaningOf(call, status);
    const retryAfterMs = type === 'Busy' ? retryAfterMsOf(retryAfter, this.#run.clock.nowMs()) : undefined;
    return failure(type, `${this.#place(call)} answered ${status}`, {
      ...{ place: this.#place(call), expected: `an answer to ${call.right}`, found: `${status}: ${message}`, hint },
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }

  #noAnswer(call: KubeCall, error: unknown, late: boolean): Error {
    const found = late ? `silence for ${formatDuration(this.#timeoutMs)}` : undefined;
    const meaning = networkMeaning(error) ?? { type: 'Unavailable' as const, code: String(error), hint: AGAIN };
    const isUnknown =
      call.method === 'PATCH' && (late || (meaning.type === 'Unavailable' && !wasNeverSent(meaning.code)));
    const type = isUnknown ? 'OutcomeUnknown' : late ? 'Unavailable' : meaning.type;
    return failure(type, `${this.#place(call)} gives no answer`, {
      ...{
        place: this.#place(call),
        expected: `an answer to ${call.right}`,
        found: found ?? meaning.code,
        cause: error,
      },
      hint: isUnknown ? 'look whether it was done' : meaning.hint,
    });
  }

  #unread(call: KubeCall, body: string): Error {
    const isUnknown = call.method === 'PATCH';
    return failure(isUnknown ? 'OutcomeUnknown' : 'Unavailable', `the answer of ${this.#place(call)} cannot be read`, {
      ...{ place: this.#place(call), expected: 'a JSON object', found: body.slice(0, 100) },
      hint: isUnknown ? 'look whether it was done' : AGAIN,
    });
  }
}

function objectIn(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Kubernetes API conventions, "HTTP status codes". */
function meaningOf({ method, right }: KubeCall, status: number): { type: FailureType; hint: string } {
  if (status === 401) return { type: 'Denied', hint: 'renew the token or the certificate of the kubeconfig' };
  if (status === 403) return { type: 'Denied', hint: `allow ${right} to this user: a Role and a RoleBinding` };
  if (status === 404) return { type: 'NotFound', hint: 'correct name, namespace and context in switches:' };
  if (status === 409) return { type: 'Busy', hint: `somebody else has changed it; ${AGAIN}` };
  if (status === 429 || status === 503) return { type: 'Busy', hint: `the API server is overloaded; ${AGAIN}` };
  if (status === 422) return { type: 'Precondition', hint: 'the API server takes no such object: correct switches:' };
  if (status < 500) return { type: 'Unsupported', hint: 'the API server refuses this: lifeboat doctor' };
  return method === 'PATCH'
    ? { type: 'OutcomeUnknown', hint: 'look whether it was done' }
    : { type: 'Unavailable', hint: `the API server failed; ${AGAIN}` };
}
