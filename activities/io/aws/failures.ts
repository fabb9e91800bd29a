import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure, findFailure } from '../../../workflows/model/failure.ts';
import { networkMeaning, retryAfterMsOf, wasNeverSent } from '../network-failure.ts';

/** One call of the control plane. */
export interface AwsCall {
  /** What is asked about: "route53 zone Z1 record db.example.org". */
  place: string;
  /** The right that it takes, as IAM calls it: "route53:ChangeResourceRecordSets". */
  action: string;
  /** It changes something: without an answer nobody knows whether it did. */
  changes?: true;
}

interface ServiceError {
  name?: string;
  Code?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

interface Meaning {
  type: FailureType;
  hint: string;
}

const AGAIN = 'it is tried again by itself';
const KEYS: Meaning = { type: 'Denied', hint: 'check accessKeyId and secretAccessKey, or the identity of the host' };
const THROTTLED: Meaning = { type: 'Busy', hint: `AWS throttles or is busy with an earlier change; ${AGAIN}` };
const ABSENT: Meaning = { type: 'NotFound', hint: 'correct the name, and the region, in lifeboat.yml' };
const NOT_NOW: Meaning = { type: 'Busy', hint: `it is being changed; ${AGAIN}` };
const WRONG: Meaning = { type: 'ConfigInvalid', hint: 'correct the options in lifeboat.yml' };

/** "Common errors" and the errors of the actions in the API references of Route 53, SSM, ECS, RDS and EC2. */
const BY_NAME: Record<string, Meaning> = {
  ...named(KEYS, 'UnrecognizedClientException', 'InvalidClientTokenId', 'SignatureDoesNotMatch', 'InvalidAccessKeyId'),
  ...named(KEYS, 'IncompleteSignature', 'MissingAuthenticationToken', 'CredentialsProviderError', 'NotAuthorized'),
  ...named({ type: 'Denied', hint: 'renew the credentials' }, 'ExpiredToken', 'ExpiredTokenException'),
  ...named(THROTTLED, 'Throttling', 'ThrottlingException', 'TooManyRequestsException', 'RequestLimitExceeded'),
  ...named(THROTTLED, 'PriorRequestNotComplete', 'TooManyUpdates', 'RequestThrottled', 'LimitExceeded'),
  ...named(ABSENT, 'NoSuchHostedZone', 'ParameterNotFound', 'ClusterNotFoundException', 'ServiceNotFoundException'),
  ...named(ABSENT, 'DBClusterNotFoundFault', 'DBInstanceNotFoundFault', 'DBInstanceNotFound', 'NoSuchChange'),
  ...named(ABSENT, 'GlobalClusterNotFoundFault', 'ResourceNotFoundException', 'InvalidInstanceID.NotFound'),
  ...named(NOT_NOW, 'InvalidDBClusterStateFault', 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState'),
  ...named(NOT_NOW, 'IncorrectInstanceState', 'IncorrectState'),
  ...named(NOT_NOW, 'InvalidDBClusterState', 'InvalidGlobalClusterStateFault', 'UpdateInProgressException'),
  ...named(WRONG, 'InvalidParameterException', 'ValidationException', 'InvalidInput', 'InvalidParameterValue'),
  ...named(WRONG, 'InvalidInstanceID.Malformed', 'UnsupportedOperation'),
  ...named(WRONG, 'InvalidParameterCombination', 'ParameterPatternMismatchException', 'ValidationError'),
  InvalidChangeBatch: { type: 'Precondition', hint: 'somebody else has changed the record: look, then start again' },
  ServiceNotActiveException: { type: 'Precondition', hint: 'the service is being deleted: create it again' },
  ParameterMaxVersionLimitExceeded: {
    type: 'Precondition',
    hint: 'a label holds the oldest of 100 versions: remove it, aws ssm unlabel-parameter-version',
  },
  RequestTimeTooSkewed: { type: 'Precondition', hint: 'set the clock of this host right (NTP)' },
  RequestExpired: { type: 'Precondition', hint: 'set the clock of this host right (NTP)' },
};

function named(meaning: Meaning, ...names: string[]): Record<string, Meaning> {
  return Object.fromEntries(names.map((name) => [name, meaning]));
}

const REFUSALS = /^(AccessDenied|UnauthorizedOperation|AuthorizationError|Forbidden)/;

/** What AWS said, by its error code and HTTP status, as one of ours. */
export function awsFailure(call: AwsCall, error: unknown, nowMs: number): unknown {
  if (findFailure(error) || !(error instanceof Error)) return error;
  const said = error as ServiceError;
  const status = said.$metadata?.httpStatusCode;
  const name = said.name ?? said.Code ?? 'unknown';
  const known = meaningOf(call, { name, status });
  if (!known) return noAnswer(call, error);
  const found = status === undefined ? name : `${name} ${status}`;
  const retryAfterMs =
    known.type === 'Busy' ? retryAfterMsOf(said.$response?.headers?.['retry-after'], nowMs) : undefined;
  return failure(known.type, `${call.place}: ${call.action} answered ${found}`, {
    ...{ place: call.place, expected: expectedOf(known.type, call), found: `${found}: ${error.message.slice(0, 300)}` },
    ...{ hint: known.hint, cause: error },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** undefined when there was no answer, or none that can be read. */
function meaningOf(
  { action, changes }: AwsCall,
  { name, status }: { name: string; status: number | undefined },
): Meaning | undefined {
  if (REFUSALS.test(name)) return { type: 'Denied', hint: `allow ${action} to this identity` };
  const known = BY_NAME[name];
  if (known) return known;
  if (status === undefined || status < 400) return undefined;
  if (status === 429 || status === 503) return THROTTLED;
  if (status === 401 || status === 403) return { type: 'Denied', hint: `allow ${action} to this identity` };
  if (status === 404) return ABSENT;
  if (status < 500) return { type: 'Unsupported', hint: 'AWS refuses this request: lifeboat doctor' };
  return changes
    ? { type: 'OutcomeUnknown', hint: 'look whether it was done' }
    : { type: 'Unavailable', hint: `AWS failed; ${AGAIN}` };
}

function expectedOf(type: FailureType, { action }: AwsCall): string {
  switch (type) {
    case 'NotFound':
      return 'something of this name, in this region';
    case 'Denied':
      return `the right ${action}`;
    case 'Busy':
      return 'an interface that is free';
    case 'Precondition':
      return 'what was seen before';
    default:
      return 'an answer';
  }
}

function noAnswer({ place, action, changes }: AwsCall, error: Error): Error {
  const meaning = networkMeaning(error) ?? { type: 'Unavailable', code: error.name, hint: AGAIN };
  const isUnknown = changes && meaning.type === 'Unavailable' && !wasNeverSent(meaning.code);
  return failure(isUnknown ? 'OutcomeUnknown' : meaning.type, `${place}: no answer to ${action}`, {
    ...{ place, expected: 'an answer', found: meaning.code, cause: error },
    hint: isUnknown ? 'look whether it was done' : meaning.hint,
  });
}

/** An answer that says nothing: of a change nobody knows then. */
export function garbled({ place, action, changes }: AwsCall, found: string): Error {
  return failure(changes ? 'OutcomeUnknown' : 'Unavailable', `${place}: the answer to ${action} cannot be read`, {
    ...{ place, expected: 'an answer in its form', found },
    hint: changes ? 'look whether it was done' : AGAIN,
  });
}
