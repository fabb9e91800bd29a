import type { StartOptions, TestRun } from '../support/workflow-env.ts';

/** A run whose history is kept. */
export interface Recording {
  workflow: string;
  options?: StartOptions;
  /** Cancel it while this activity works. */
  cancelAt?: string;
  /** What somebody says to it meanwhile. */
  meanwhile?: (run: TestRun) => Promise<unknown>;
}

/** Without what says on which machine it was recorded. */
export function impersonal(key: string, value: unknown): unknown {
  if (key === 'identity' || key === 'stackTrace') return '';
  return key === 'workerVersion' || key === 'originalExecutionRunIdentity' ? undefined : value;
}
