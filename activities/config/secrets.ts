import { failureFacts, findFailure } from '../../workflows/model/failure.ts';
import type { SecretRef } from '../io/secret.ts';
import { resolveSecret } from '../io/secret.ts';
import type { RawProblem } from './problem.ts';
import { pathText } from './problem.ts';
import type { CheckedFile } from './read.ts';
import type { ConfigSchema } from './schema.ts';
import { leavesOf } from './walk.ts';

/** Every secret that is not where the file says it is. Reads each and forgets it. */
export function secretProblems(file: CheckedFile, schema: ConfigSchema): RawProblem[] {
  const leaves = [...leavesOf(schema, file.data, { path: [], isDefault: false })];
  return leaves.flatMap(({ path, value, mark }) => {
    if (mark.secret !== true) return [];
    const reason = unresolvable(value as SecretRef, pathText(path));
    return reason === undefined ? [] : [{ path, ...reason }];
  });
}

function unresolvable(ref: SecretRef, place: string): Omit<RawProblem, 'path'> | undefined {
  try {
    resolveSecret(ref, place);
    return undefined;
  } catch (error) {
    if (!findFailure(error)) throw error;
    const { expected = 'a secret', found = 'none' } = failureFacts(error);
    const reason = 'env' in ref ? `the environment variable ${ref.env} has no value` : `${ref.file} cannot be read`;
    return { reason, expected, found };
  }
}
