import type { FailureType } from '../workflows/model/failure.ts';
import { FAILURE_TYPES } from '../workflows/model/failure.ts';

/** What the CLI ends with when it is no failure of the taxonomy. */
export const OWN_EXIT_CODES = {
  Success: { exitCode: 0, means: 'done, and everything that was checked is good' },
  Unexpected: { exitCode: 1, means: 'an error that Lifeboat did not foresee; please report it' },
  Usage: { exitCode: 2, means: 'the command line is wrong: nothing was started' },
  Interrupted: { exitCode: 130, means: 'interrupted by Ctrl-C; a started run goes on without us' },
} as const;

/**
 * What `wal-fetch` ends with when the vault was asked and does not have the file. Node itself ends with 1 when it cannot even
 * start: client/lifeboat.sh makes 1 of this one, and of every other one a number that stops the server's recovery.
 */
export const NOT_STORED = 44;

export type ExitName = keyof typeof OWN_EXIT_CODES | FailureType;

/** The one table: README and `--json` say the same. Ascending by code. */
export const EXIT_CODES: readonly { name: ExitName; exitCode: number; means: string }[] = [
  ...Object.entries(OWN_EXIT_CODES),
  ...Object.entries(FAILURE_TYPES),
]
  .map(([name, { exitCode, means }]) => ({ name: name as ExitName, exitCode, means }))
  .sort((a, b) => a.exitCode - b.exitCode);

export function exitCodeOf(name: ExitName): number {
  return EXIT_CODES.find((row) => row.name === name)?.exitCode ?? OWN_EXIT_CODES.Unexpected.exitCode;
}
