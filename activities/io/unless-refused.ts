import { failureTypeOf, findFailure, isRetryable } from '../../workflows/model/failure.ts';
import type { Refusal } from '../../workflows/model/retention-result.ts';

/** A store that refuses to delete or replace (an object lock, a missing right) is told, and stops nothing else. */
export async function unlessRefused(refused: Refusal[], place: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const type = failureTypeOf(error);
    if (isRetryable(error) || (type !== 'Denied' && type !== 'Unsupported' && type !== 'Precondition')) throw error;
    refused.push({ place, reason: findFailure(error)?.message ?? String(error) });
  }
}
