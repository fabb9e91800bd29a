import { findFailure } from '../../workflows/model/failure.ts';

/** Why something failed, for a helper that reads lines. */
export function reasonLine(error: unknown): string {
  const message = findFailure(error)?.message ?? (error instanceof Error ? error.message : String(error));
  return message.replaceAll(/\s+/g, ' ').trim() || 'without a reason';
}
