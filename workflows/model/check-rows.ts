import type { Check } from './recovery.ts';

export const CHECK_HEAD = ['', 'check', 'expected', 'found'];

/** Checks as rows of a table. */
export function checkRows(checks: readonly Check[]): string[][] {
  return checks.map(({ ok, name, expected, found, detail }) => [
    ok ? 'passed' : 'FAILED',
    name,
    expected,
    detail === undefined ? found : `${found} (${detail})`,
  ]);
}
