import type { ZodType } from 'zod';
import { z } from 'zod';
import { nearestName } from '../../workflows/model/nearest.ts';
import type { Path, RawProblem } from './problem.ts';
import { isMapping, memberOf, schemaAt } from './walk.ts';

type Issue = z.core.$ZodIssue;

/** What zod found, in words: where, what was expected, what stands there. A value that may be a secret is not repeated. */
export function problemsFromIssues(issues: readonly Issue[], root: ZodType, data: unknown): RawProblem[] {
  return issues.flatMap((issue) => describe(issue, { root, data }));
}

interface Input {
  root: ZodType;
  data: unknown;
}

function describe(issue: Issue, input: Input): RawProblem[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], input));
  if (issue.code === 'invalid_union') return unionProblem(issue, input);
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message ?? 'another name';
    return [{ path, reason: 'the name is not allowed', expected, found: quoted(path.at(-1)), atKey: true }];
  }
  return [{ path, ...valueProblem(issue, input) }];
}

function unknownKey(path: Path, input: Input): RawProblem {
  const parent = path.slice(0, -1);
  const value = valueAt(input.data, parent);
  const { schema } = schemaAt(input.root, input.data, parent);
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape as object) : [];
  const key = String(path.at(-1));
  const free = known.filter((name) => memberOf(value, name) === undefined);
  const near = nearestName(key, free);
  const expected = near === undefined ? oneOf(known) : `"${near}"`;
  const reason = near === undefined ? 'unknown key' : `unknown key, did you mean "${near}"?`;
  return { path, reason, expected, found: quoted(key), atKey: true };
}

/** Of a union without a telling key, the form that fits best is the one meant. */
function unionProblem(issue: Issue & { code: 'invalid_union' }, input: Input): RawProblem[] {
  const path = issue.path as Path;
  if ('discriminator' in issue && issue.discriminator !== undefined) {
    const known: unknown[] = 'options' in issue && Array.isArray(issue.options) ? issue.options : [];
    // Undefined where one of the kinds need not be named.
    const kinds = known.filter((each) => each !== undefined).map(String);
    const kind = valueAt(input.data, path);
    return [{ path, ...choiceProblem(kinds, kind, shown(kind)) }];
  }
  const found = foundAt(input, path);
  if (issue.message !== 'Invalid input') return [wrong(path, issue.message, found)];
  const inside = issue.errors.filter((form) => form.some((each) => each.path.length > 0 || 'keys' in each));
  const [best] = inside.sort((a, b) => a.length - b.length);
  if (best) return best.flatMap((each) => describe({ ...each, path: [...path, ...each.path] }, input));
  const forms = issue.errors.flatMap((form) => form.map((each) => expectedOf(each)));
  return [wrong(path, oneOf([...new Set(forms)]), found)];
}

function valueProblem(issue: Issue, input: Input): Omit<RawProblem, 'path'> {
  const path = issue.path as Path;
  const value = valueAt(input.data, path);
  const found = foundAt(input, path);
  if (issue.code === 'invalid_value') return choiceProblem(issue.values.map(String), value, found);
  const expected = expectedOf(issue);
  return value === undefined
    ? { reason: 'is missing', expected, found: 'nothing' }
    : { reason: 'is not usable', expected, found };
}

function choiceProblem(choices: readonly string[], value: unknown, found: string): Omit<RawProblem, 'path'> {
  const near = typeof value === 'string' ? nearestName(value, choices) : undefined;
  const unknown = near === undefined ? 'is unknown' : `is unknown, did you mean "${near}"?`;
  return { reason: value === undefined ? 'is missing' : unknown, expected: oneOf(choices), found };
}

const TYPES: Record<string, string> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

function expectedOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return oneOf(issue.values.map(String));
    case 'too_small':
      return bound('at least', issue.minimum, issue.origin);
    case 'too_big':
      return bound('at most', issue.maximum, issue.origin);
    case 'invalid_format':
      return issue.message.startsWith('Invalid') ? `a ${issue.format}` : issue.message;
    default:
      return issue.message;
  }
}

function bound(word: string, limit: number | bigint, origin: string): string {
  const unit = origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : '';
  return `${word} ${limit}${unit}`;
}

function wrong(path: Path, expected: string, found: string): RawProblem {
  return { path, reason: 'is not usable', expected, found };
}

function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => memberOf(value, step), data);
}

function foundAt(input: Input, path: Path): string {
  const value = valueAt(input.data, path);
  const { schema, mark } = schemaAt(input.root, input.data, path);
  const hidden = schema === undefined || mark.secret === true || looksSecret(path);
  return hidden && !isMapping(value) ? `${typeName(value)} (not shown)` : shown(value);
}

/** Misplaced secrets are not repeated either. */
export function looksSecret(path: Path): boolean {
  return path.some((step) => /passw|secret|token|credential|private|api-?key|access-?key/i.test(String(step)));
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (isMapping(value)) return `a mapping with ${oneOf(Object.keys(value)) || 'nothing'}`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : (TYPES[typeof value] ?? typeof value);
}

function oneOf(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join('') : `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

function quoted(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}
