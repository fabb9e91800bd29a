import type { FailureType } from '../workflows/model/failure.ts';
import { FAILURE_TYPES } from '../workflows/model/failure.ts';

/** What the CLI ends with when it is no failure of the taxonomy. */
export const OWN_EXIT_CODES = {
  Success: { exitCode: 0, means: 'done, and everything that was checked is good' },
  Unexpected: { exitCode: 1, means: 'an error that Lifeboat did not foresee; please report it' },
  Usage: { exitCode: 2, means: 'the command line is wrong: nothing was started' },
  Interrupted: { exitCode: 130, means: 'interrupted by Ctrl-C; a started run goes on without us' },
} as const;

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
