import { ApplicationFailure } from '@temporalio/common';

/**
 * The failure taxonomy: the one throwable across boundaries is ApplicationFailure, told apart by `type`.
 * `retry` says whether doing the same thing again may help; `exitCode` is what the CLI ends with.
 */
export const FAILURE_TYPES = {
  Unavailable: { retry: true, exitCode: 10, means: 'not reachable now' },
  Busy: { retry: true, exitCode: 11, means: 'someone else holds it, or it throttles us' },
  ConfigInvalid: { retry: false, exitCode: 3, means: 'the configuration or an argument is wrong' },
  Denied: { retry: false, exitCode: 12, means: 'the identity lacks a right' },
  NotFound: { retry: false, exitCode: 4, means: 'the named thing does not exist' },
  Unsupported: { retry: false, exitCode: 13, means: 'the version or capability is missing' },
  Precondition: { retry: false, exitCode: 5, means: 'it is not safe to go on' },
  Integrity: { retry: false, exitCode: 6, means: 'data is not what it should be' },
  OutcomeUnknown: { retry: false, exitCode: 14, means: 'we asked and do not know; look before asking again' },
  Refused: { retry: false, exitCode: 15, means: 'a person said no, or did not answer' },
  Bug: { retry: false, exitCode: 70, means: 'an assertion of our own failed' },
} as const satisfies Record<string, { retry: boolean; exitCode: number; means: string }>;

export type FailureType = keyof typeof FAILURE_TYPES;

/** What a person needs to mend it. The same fields stand in `details[0]` of the ApplicationFailure. */
export interface FailureFacts {
  /** Where: a config path, a store key, a host:port, a file. */
  place?: string;
  expected?: string;
  found?: string;
  /** The next command or the setting to change. */
  hint?: string;
}

export interface FailureOptions extends FailureFacts {
  cause?: unknown;
  /** For Busy: when to try again, in milliseconds. */
  retryAfterMs?: number;
  /** JSON-safe data that the failure rests on, for a program: `details[1]` of the ApplicationFailure. */
  evidence?: unknown;
}

/** Makes the one kind of error that leaves a module. Message: lower case, subject first, no full stop. */
export function failure(type: FailureType, message: string, options: FailureOptions = {}): ApplicationFailure {
  const { cause, retryAfterMs, evidence, ...facts } = options;
  return ApplicationFailure.create({
    type,
    message: facts.hint === undefined ? message : `${message} (hint: ${facts.hint})`,
    nonRetryable: !FAILURE_TYPES[type].retry,
    details: evidence === undefined ? [facts] : [facts, evidence],
    ...(cause instanceof Error ? { cause } : {}),
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  });
}

/** The innermost failure of ours in a chain of causes (an ActivityFailure wraps it), if there is one. */
export function findFailure(error: unknown): ApplicationFailure | undefined {
  let found: ApplicationFailure | undefined;
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof ApplicationFailure && isFailureType(at.type)) found = at;
  }
  return found;
}

export function failureTypeOf(error: unknown): FailureType | undefined {
  const type = findFailure(error)?.type;
  return isFailureType(type) ? type : undefined;
}

export function isFailure(error: unknown, type: FailureType): boolean {
  return failureTypeOf(error) === type;
}

export function failureFacts(error: unknown): FailureFacts {
  const first: unknown = findFailure(error)?.details?.[0];
  return typeof first === 'object' && first !== null ? first : {};
}

/** True when doing the same call again may help; errors that are not ours count as bugs and are not retried. */
export function isRetryable(error: unknown): boolean {
  const type = failureTypeOf(error);
  return type !== undefined && FAILURE_TYPES[type].retry;
}

function isFailureType(type: string | null | undefined): type is FailureType {
  return type !== null && type !== undefined && Object.hasOwn(FAILURE_TYPES, type);
}
