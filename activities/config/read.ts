import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { failure } from '../../workflows/model/failure.ts';
import { fileFailure } from '../io/file-failure.ts';
import { crossProblems } from './cross-checks.ts';
import type { YamlFile } from './document.ts';
import { readYaml } from './document.ts';
import { problemsFromIssues } from './issues.ts';
import type { FoundConfig } from './locate.ts';
import type { Problem, RawProblem } from './problem.ts';
import { pathText, problemsFailure } from './problem.ts';
import type { ConfigFile, ConfigSchema } from './schema.ts';
import { mapMarked } from './walk.ts';

/** A file that passed every check that needs nothing but the file. */
export interface CheckedFile {
  path: string;
  /** As written, with paths made absolute. */
  data: unknown;
  parsed: ConfigFile;
  locate: YamlFile['locate'];
}

/** NotFound or Denied for the file itself; ConfigInvalid with every problem at once for what is in it. */
export function readConfigFile(found: FoundConfig, schema: ConfigSchema): CheckedFile {
  return checkText(found.path, readText(found), schema);
}

export function checkText(path: string, text: string, schema: ConfigSchema): CheckedFile {
  const yaml = readYaml(text);
  if (yaml.problems.length > 0) throw problemsFailure(path, yaml.problems);
  const folder = dirname(path);
  const data = mapMarked(schema, yaml.data, (value, mark) =>
    mark.path === true && typeof value === 'string' && isPlainPath(value) ? resolve(folder, value) : value,
  );
  const result = schema.safeParse(data);
  const raw = result.success ? crossProblems(result.data) : problemsFromIssues(result.error.issues, schema, data);
  if (raw.length > 0 || !result.success) throw problemsFailure(path, placed(raw, yaml));
  return { path, data, parsed: result.data, locate: yaml.locate };
}

/** What the schema refuses ("", "~/x") stays as written, so that the message shows it. */
function isPlainPath(value: string): boolean {
  return value !== '' && !value.startsWith('~');
}

export function placed(raw: readonly RawProblem[], yaml: Pick<YamlFile, 'locate'>): Problem[] {
  const problems = raw.map(({ path, reason, expected, found, atKey }) => ({
    path: pathText(path),
    reason,
    expected,
    found,
    ...yaml.locate(path, atKey ? 'key' : 'value'),
  }));
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

function readText(found: FoundConfig): string {
  try {
    return readFileSync(found.path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileFailure(found.path, error);
    throw failure('NotFound', `configuration ${found.path} does not exist`, {
      place: `${found.path} (from ${found.from})`,
      expected: 'a lifeboat.yml',
      found: 'no file',
      hint: 'lifeboat init, or name the file with --config or LIFEBOAT_CONFIG',
      cause: error,
    });
  }
}
