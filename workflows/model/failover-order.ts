import type { FailoverOrder } from './failover.ts';
import { failure } from './failure.ts';
import { parseTargetTime } from './target-parse.ts';

/** ConfigInvalid for what fits no failover; what it is about is not looked at. */
export function checkFailover({ mode, since, breakGlass }: FailoverOrder, nowMs: number): void {
  const [needing, given] = Object.entries({ since, breakGlass }).find(([, value]) => value !== undefined) ?? [];
  if (needing !== undefined && mode === 'planned') {
    throw wrong(needing, { says: `${needing} goes with unplanned`, expected: 'mode unplanned', found: String(given) });
  }
  if (since !== undefined && Date.parse(parseTargetTime(since)) > nowMs) {
    throw wrong('since', { says: 'since is in the future', expected: 'a moment that has been', found: since });
  }
}

function wrong(key: string, { says, expected, found }: { says: string; expected: string; found: string }): Error {
  const place = `failover.${key}`;
  return failure('ConfigInvalid', says, { place, expected, found, hint: 'lifeboat failover --help' });
}
