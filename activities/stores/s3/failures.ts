import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure, findFailure } from '../../../workflows/model/failure.ts';
import { networkMeaning, retryAfterMsOf } from '../../io/network-failure.ts';

interface ServiceError {
  name?: string;
  Code?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

interface Meaning {
  type: FailureType;
  hint: string;
}

const AGAIN = 'it is tried again by itself';

/** Error codes of the S3 API reference, "Error responses". */
const BY_NAME: Record<string, Meaning> = {
  NoSuchBucket: { type: 'NotFound', hint: 'create the bucket or correct `bucket`' },
  /** What HEAD says of a bucket; of a key it means absent, and is no failure. */
  NotFound: { type: 'NotFound', hint: 'create the bucket or correct `bucket`' },
  NoSuchKey: { type: 'NotFound', hint: 'list what is there: lifeboat list' },
  NoSuchUpload: { type: 'Unavailable', hint: `somebody aborted the upload; ${AGAIN}` },
  AccessDenied: { type: 'Denied', hint: 'allow s3:PutObject, GetObject, ListBucket and DeleteObject on this bucket' },
  InvalidAccessKeyId: { type: 'Denied', hint: 'check accessKeyId' },
  SignatureDoesNotMatch: { type: 'Denied', hint: 'check secretAccessKey and region' },
  CredentialsProviderError: {
    type: 'Denied',
    hint: 'set accessKeyId and secretAccessKey, or the environment of the AWS SDK',
  },
  ExpiredToken: { type: 'Denied', hint: 'renew the credentials' },
  RequestTimeTooSkewed: {
    type: 'Precondition',
    hint: 'set the clock of this host right (NTP): it is more than 15 minutes off',
  },
  AuthorizationHeaderMalformed: { type: 'ConfigInvalid', hint: 'correct `region`: the bucket is in another one' },
  PermanentRedirect: { type: 'ConfigInvalid', hint: 'correct `region` or `endpoint`: the bucket is elsewhere' },
  SlowDown: { type: 'Busy', hint: `the store throttles; ${AGAIN}` },
  RequestTimeout: { type: 'Unavailable', hint: `the request was too slow for the store; ${AGAIN}` },
  BadDigest: { type: 'Integrity', hint: 'bytes changed on the way; check the network path' },
  InvalidDigest: { type: 'Integrity', hint: 'bytes changed on the way; check the network path' },
  XAmzContentSHA256Mismatch: { type: 'Integrity', hint: 'bytes changed on the way; check the network path' },
  XAmzContentChecksumMismatch: { type: 'Integrity', hint: 'bytes changed on the way; check the network path' },
  ConditionalRequestConflict: { type: 'Busy', hint: `another writer is at the same key; ${AGAIN}` },
  NotImplemented: { type: 'Unsupported', hint: 'the store cannot do this; run lifeboat doctor' },
};

const BY_STATUS: Record<number, Meaning> = {
  301: { type: 'ConfigInvalid', hint: 'correct `region` or `endpoint`: the bucket is elsewhere' },
  401: { type: 'Denied', hint: 'check the credentials' },
  403: { type: 'Denied', hint: 'check the credentials and the bucket policy' },
  404: { type: 'NotFound', hint: 'check bucket and key' },
  408: { type: 'Unavailable', hint: `the request was too slow for the store; ${AGAIN}` },
  409: { type: 'Busy', hint: AGAIN },
  429: { type: 'Busy', hint: `the store throttles; ${AGAIN}` },
  501: { type: 'Unsupported', hint: 'the store cannot do this; run lifeboat doctor' },
  503: { type: 'Busy', hint: `the store is overloaded; ${AGAIN}` },
  507: { type: 'Precondition', hint: 'the store is full: free space' },
};

/** What a store has to be or have, so that this does not happen. */
function expectedOf(type: FailureType): string {
  switch (type) {
    case 'NotFound':
      return 'a bucket, or a key in it, that exists';
    case 'Denied':
      return 'credentials and a policy that allow it';
    case 'Busy':
      return 'a store that keeps up';
    case 'Integrity':
      return 'the bytes that were sent';
    case 'Unavailable':
      return 'a store that answers';
    default:
      return 'a store that can do this';
  }
}

/** What the service said, by its error code and HTTP status, as one of ours. `place` is s3://bucket/key. */
export function s3Failure(place: string, error: unknown, nowMs: number): unknown {
  if (findFailure(error) || !(error instanceof Error)) return error;
  const said = error as ServiceError;
  const status = said.$metadata?.httpStatusCode;
  const name = said.Code ?? said.name ?? 'unknown';
  const known = meaningOf(name, status);
  if (!known) return noAnswer(place, error);
  const found = status === undefined ? name : `${name} ${status}`;
  const facts = { place, expected: expectedOf(known.type), found, hint: known.hint, cause: error };
  const retryAfterMs =
    known.type === 'Busy' ? retryAfterMsOf(said.$response?.headers?.['retry-after'], nowMs) : undefined;
  return failure(
    known.type,
    `${place} answered ${found}`,
    retryAfterMs === undefined ? facts : { ...facts, retryAfterMs },
  );
}

/** undefined when there was no answer. */
function meaningOf(name: string, status: number | undefined): Meaning | undefined {
  const named = BY_NAME[name];
  if (named || status === undefined) return named;
  return BY_STATUS[status] ?? ofStatus(status);
}

function ofStatus(status: number): Meaning {
  if (status >= 500) return { type: 'Unavailable', hint: `the store failed; ${AGAIN}` };
  return { type: 'Unsupported', hint: 'the store refuses this request; run lifeboat doctor' };
}

/** No status: the request never got an answer. */
function noAnswer(place: string, error: Error): Error {
  const meaning = networkMeaning(error) ?? {
    type: 'Unavailable',
    code: error.name,
    hint: `check the endpoint; ${AGAIN}`,
  };
  const { type, code, hint } = meaning;
  const facts = { place, expected: expectedOf(type), found: code, hint, cause: error };
  return failure(type, `${place} is not reachable`, facts);
}

/**
 * A body that broke while it was read. What breaks a connection has a code; the one error without is that of the SDK's
 * checksum, which is known only when all bytes were there.
 */
export function bodyFailure(place: string, error: unknown): unknown {
  if (findFailure(error) || !(error instanceof Error)) return error;
  if (networkMeaning(error)) return noAnswer(place, error);
  return failure('Integrity', `${place} has another checksum than when it was stored`, {
    place,
    expected: 'the checksum that the store keeps',
    found: 'another one',
    hint: 'this copy is damaged, or a proxy changes it; use another copy',
    cause: error,
  });
}

/** 412 of a conditional put: somebody has the key. */
export function isTaken(error: unknown): boolean {
  const said = error as ServiceError;
  return said.$metadata?.httpStatusCode === 412 || said.name === 'PreconditionFailed';
}

/** 404 for the key, or for a request whose answer has no body to say what is absent. */
export function isAbsent(error: unknown): boolean {
  const said = error as ServiceError;
  return said.$metadata?.httpStatusCode === 404 && said.name !== 'NoSuchBucket';
}

/** 416: the range starts behind the end of the object. */
export function isBehindEnd(error: unknown): boolean {
  return (error as ServiceError).$metadata?.httpStatusCode === 416;
}
