import {
  CancelledFailure,
  isGrpcDeadlineError,
  isGrpcServiceError,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { FailureType } from '../workflows/model/failure.ts';
import { failure, failureTypeOf } from '../workflows/model/failure.ts';

export interface Place {
  /** host:port */
  address: string;
  namespace: string;
}

interface Meaning {
  type: FailureType;
  says: string;
  hint: string;
}

const REACH = 'start one: lifeboat dev, or set temporal.address or TEMPORAL_ADDRESS';
const DEADLINE_EXCEEDED = 4;
const RIGHTS = "check TEMPORAL_API_KEY and the certificates of the Temporal SDK's profile";

/** gRPC status codes (grpc.io, "Status codes") that mean something to the user of a Temporal server. */
const MEANINGS: Record<number, Meaning> = {
  4: { type: 'Unavailable', says: 'did not answer in time', hint: REACH },
  7: { type: 'Denied', says: 'refused us', hint: RIGHTS },
  8: { type: 'Busy', says: 'limits how often it may be asked', hint: 'try again in a minute' },
  12: { type: 'Unsupported', says: 'is too old for this call', hint: 'Temporal server 1.29 or newer is needed' },
  14: { type: 'Unavailable', says: 'is not reachable', hint: REACH },
  16: { type: 'Denied', says: 'does not know who we are', hint: RIGHTS },
};

/** What the Temporal client throws, as one of ours; what it does not know stays as it is. */
export function temporalFailure(error: unknown, place: Place): unknown {
  if (failureTypeOf(error) !== undefined) return error;
  const code = grpcCode(error);
  const meaning = code === undefined ? undefined : MEANINGS[code];
  if (!meaning) return error;
  return failure(meaning.type, `temporal at ${place.address} ${meaning.says}`, {
    place: `${place.address}, namespace ${place.namespace}`,
    found: `gRPC status ${code}`,
    hint: meaning.hint,
    cause: error,
  });
}

/** The gRPC status inside an error of the client; deadlines have several forms. */
export function grpcCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if (isGrpcServiceError(error)) return (error as { code: number }).code;
  return isGrpcDeadlineError(error) ? DEADLINE_EXCEEDED : grpcCode((error as Error).cause);
}

export function noSuchRun(error: unknown, workflowId: string): unknown {
  if (!(error instanceof WorkflowNotFoundError)) return error;
  return failure('NotFound', `run ${workflowId} does not exist`, {
    place: workflowId,
    expected: 'a run that Temporal still remembers',
    found: 'none',
    hint: 'lifeboat status',
    cause: error,
  });
}

/** Why a run ended without a result, when its own failure does not say it. */
export function runFailure(error: unknown, workflowId: string): unknown {
  if (failureTypeOf(error) !== undefined || !(error instanceof WorkflowFailedError)) return error;
  const cause = innermost(error);
  const hint = `lifeboat status ${workflowId}`;
  const facts = { place: workflowId, hint, cause: error };
  if (cause instanceof CancelledFailure) return failure('Refused', `run ${workflowId} was cancelled`, facts);
  if (cause instanceof TerminatedFailure) {
    return failure('Refused', `run ${workflowId} was terminated: it could not clean up behind itself`, facts);
  }
  if (cause instanceof TimeoutFailure) {
    return failure('Unavailable', `run ${workflowId} gave up: a step did not end in time`, facts);
  }
  return failure('Bug', `run ${workflowId} failed: ${cause.message}`, facts);
}

function innermost(error: Error): Error {
  let at: Error = error;
  while (at.cause instanceof Error) at = at.cause;
  return at;
}
