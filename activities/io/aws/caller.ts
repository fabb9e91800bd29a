import { failure } from '../../../workflows/model/failure.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import type { Run } from '../run.ts';
import type { AwsCall } from './failures.ts';
import { awsFailure } from './failures.ts';

/** Sends the calls of one session: each within its limit, cancelled with the run, its failure one of ours. */
export class AwsCaller {
  readonly #run: Run;
  readonly #timeoutMs: number;

  constructor(run: Run, timeoutMs: number) {
    this.#run = run;
    this.#timeoutMs = timeoutMs;
  }

  /** Throws the reason of the run's signal when that ends it. */
  async ask<T>(call: AwsCall, send: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    const { signal, clock } = this.#run;
    signal.throwIfAborted();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error('time is over')), this.#timeoutMs);
    try {
      return await send({ abortSignal: AbortSignal.any([signal, limit.signal]) });
    } catch (error) {
      signal.throwIfAborted();
      if (limit.signal.aborted) throw this.#tooLate(call);
      throw awsFailure(call, error, clock.nowMs()) as Error;
    } finally {
      clearTimeout(timer);
    }
  }

  #tooLate({ place, action, changes }: AwsCall): Error {
    const after = formatDuration(this.#timeoutMs);
    return failure(changes ? 'OutcomeUnknown' : 'Unavailable', `${place}: no answer to ${action} within ${after}`, {
      ...{ place, expected: `an answer within ${after}`, found: 'silence' },
      hint: changes ? 'look whether it was done' : 'it is tried again by itself',
    });
  }
}
