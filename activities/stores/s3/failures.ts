import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure, findFailure } from '../../../workflows/model/failure.ts';

interface ServiceError {
  name?: string;
  Code?: string;
  message?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

interface Meaning {
  type: FailureType;
  hint: string;
}

const BY_NAME: Record<string, Meaning> = {
  NoSuchBucket: { type: 'NotFound', hint: 'create the bucket or correct `bucket`' },
  NoSuchKey: { type: 'NotFound', hint: 'list what is there: lifeboat list' },
  NotFound: { type: 'NotFound', hint: 'create the bucket or correct `bucket`' },
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
  SlowDown: { type: 'Busy', hint: 'the store throttles; it is tried again by itself' },
  BadDigest: { type: 'Integrity', hint: 'bytes changed on the way; check the network path' },
  ConditionalRequestConflict: { type: 'Busy', hint: 'another writer is at the same key; it is tried again by itself' },
};

const BY_STATUS: [number, Meaning][] = [
  [401, { type: 'Denied', hint: 'check the credentials' }],
  [403, { type: 'Denied', hint: 'check the credentials and the bucket policy' }],
  [404, { type: 'NotFound', hint: 'check bucket and key' }],
  [409, { type: 'Busy', hint: 'it is tried again by itself' }],
  [429, { type: 'Busy', hint: 'the store throttles; it is tried again by itself' }],
  [507, { type: 'Precondition', hint: 'the store is full: free space' }],
];

/** What the service said, by its error code and HTTP status, as one of ours. `place` is s3://bucket/key. */
export function s3Failure(place: string, error: unknown): Error {
  if (findFailure(error) || (error as Error).name === 'AbortError') return error as Error;
  const said = error as ServiceError;
  const status = said.$metadata?.httpStatusCode;
  const name = said.Code ?? said.name ?? 'unknown';
  const meaning = BY_NAME[name] ?? BY_STATUS.find(([code]) => code === status)?.[1] ?? fallback(status);
  const found = [name === 'Error' ? said.code : name, status].filter((part) => part !== undefined).join(' ');
  return failure(meaning.type, `${place} answered ${found}`, { place, found, hint: meaning.hint, cause: error });
}

/** No status: the request never got an answer. */
function fallback(status: number | undefined): Meaning {
  if (status !== undefined && status < 500)
    return { type: 'Unsupported', hint: 'the store refuses this request; run lifeboat doctor' };
  return { type: 'Unavailable', hint: 'check endpoint, DNS and network; it is tried again by itself' };
}

/** 412 of a conditional put: somebody has the key. */
export function isTaken(error: unknown): boolean {
  const said = error as ServiceError;
  return said.$metadata?.httpStatusCode === 412 || said.name === 'PreconditionFailed';
}

export function isAbsent(error: unknown): boolean {
  const said = error as ServiceError;
  return said.$metadata?.httpStatusCode === 404 && said.name !== 'NoSuchBucket';
}
