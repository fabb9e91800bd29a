import { failure } from '../../../workflows/model/failure.ts';
import type { Address } from './failures.ts';
import { placeOf } from './failures.ts';

/** Oldest and newest major version that is tested. */
export const OLDEST_MAJOR = 15;
export const NEWEST_MAJOR = 18;

/** `found` is what the server reports as server_version: "15.18 (Debian 15.18-1)", "19beta1". Unsupported outside the range. */
export function checkServerVersion(at: Address, found: string, allowNewer: boolean): void {
  const major = Number.parseInt(found, 10);
  if (major >= OLDEST_MAJOR && (major <= NEWEST_MAJOR || allowNewer)) return;
  throw failure('Unsupported', `postgres ${placeOf(at)} is version ${found || 'unknown'}`, {
    place: placeOf(at),
    expected: `PostgreSQL ${OLDEST_MAJOR} to ${NEWEST_MAJOR}`,
    found: found || 'unknown',
    hint:
      major > NEWEST_MAJOR
        ? 'install a newer lifeboat, or set connection.allowNewerServer: true'
        : 'upgrade the server; keep its present backups until then',
  });
}
