import { failure, failureFacts } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import { timeMicros } from './target-parse.ts';

export const SINCE_FORMS = 'a time with its offset, like 2026-03-01T12:00:00Z, or a position, like 16/B374D848';

export type Since = { lsn: Lsn } | { micros: number };

/** A WAL position, or a moment with its offset from UTC. ConfigInvalid for anything else. */
export function parseSince(text: string): Since {
  try {
    return text.includes('/') ? { lsn: formatLsn(parseLsn(text)) } : { micros: timeMicros(text) };
  } catch (error) {
    throw failure('ConfigInvalid', `since "${text}" is neither a moment nor a WAL position`, {
      place: 'since',
      expected: SINCE_FORMS,
      found: text,
      hint: failureFacts(error).hint ?? 'lifeboat wal SOURCE shows positions',
    });
  }
}

export function isSince(text: string): boolean {
  try {
    parseSince(text);
    return true;
  } catch {
    return false;
  }
}
