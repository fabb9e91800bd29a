import type { ApplicationFailure } from '@temporalio/common';
import { failure, failureFacts } from '../../workflows/model/failure.ts';
import type { FailureFacts } from '../../workflows/model/failure.ts';

export type Path = readonly (string | number)[];

/** One thing that is wrong in the file. Values of secrets are never in it. */
export interface Problem {
  /** "sources.shop.wal.shipEvery"; empty for the file as a whole. */
  path: string;
  reason: string;
  expected: string;
  found: string;
  line: number;
  column: number;
}

/** A problem before its place in the text is known. */
export interface RawProblem {
  path: Path;
  reason: string;
  expected: string;
  found: string;
  /** Point at the key rather than at its value. */
  atKey?: boolean;
}

export function pathText(path: Path): string {
  return path.map(String).join('.');
}

/** One failure for all of them; the problems themselves stand in `details[0].problems`. */
export function problemsFailure(
  file: string,
  problems: readonly Problem[],
  hint = 'mend the file, then: lifeboat config check',
): ApplicationFailure {
  const [first] = problems;
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const lines = problems.map((problem) => `  ${problemText(problem)}`);
  return failure('ConfigInvalid', [`${file} has ${count}`, ...lines].join('\n'), {
    place: first ? `${file}:${first.line}:${first.column}` : file,
    ...(first ? { expected: first.expected, found: first.found } : {}),
    hint,
    ...({ problems } as object),
  });
}

export function problemsOf(error: unknown): readonly Problem[] {
  const facts: FailureFacts & { problems?: readonly Problem[] } = failureFacts(error);
  return facts.problems ?? [];
}

function problemText(problem: Problem): string {
  const where = problem.path === '' ? '' : `${problem.path}: `;
  return `${problem.line}:${problem.column} ${where}${problem.reason}; expected ${problem.expected}, found ${problem.found}`;
}
