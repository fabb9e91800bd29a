import { redactUrl, secretText } from './redact.ts';
import type { FoundConfig } from './locate.ts';
import { pathText } from './problem.ts';
import type { Path } from './problem.ts';
import type { CheckedFile } from './read.ts';
import type { ConfigSchema } from './schema.ts';
import type { Config } from './config.ts';
import type { Environment } from './temporal.ts';
import { temporalPlace } from './temporal.ts';
import type { Leaf } from './walk.ts';
import { isMapping, leavesOf } from './walk.ts';

/** One value of the configuration in force, and where it came from. Secrets show their reference, never themselves. */
export interface Explained {
  path: string;
  value: string;
  /** "lifeboat.yml:12", "default", "environment TEMPORAL_ADDRESS", ... */
  from: string;
}

export interface ExplainInput {
  found: FoundConfig;
  file: CheckedFile;
  schema: ConfigSchema;
  config: Config;
  environment: Environment;
}

export function explainConfig(input: ExplainInput): Explained[] {
  const leaves = [...leavesOf(input.schema, input.file.data, { path: [], isDefault: false })];
  const rows = leaves.map((leaf) => explainLeaf(leaf, input));
  return withComputed(rows, input);
}

function explainLeaf(leaf: Leaf, input: ExplainInput): Explained {
  const { line } = input.file.locate(leaf.path, 'value');
  const file = input.file.path.split('/').at(-1);
  return {
    path: pathText(leaf.path),
    value: valueText(leaf, input.environment),
    from: leaf.isDefault ? 'default' : `${file}:${line}`,
  };
}

function valueText({ value, mark }: Pick<Leaf, 'value' | 'mark'>, environment: Environment): string {
  if (mark.secret === true) return secretText(value, environment);
  if (typeof value === 'string') return redactUrl(value);
  return isMapping(value) && Object.keys(value).length === 0 ? '{}' : JSON.stringify(value);
}

/** What stands nowhere in the file and has no constant default: path, name, slots, and what the environment decides. */
function withComputed(rows: readonly Explained[], input: ExplainInput): Explained[] {
  const { config, found, file } = input;
  const place = temporalPlace(file.parsed.temporal, input.environment);
  const own = (path: Path): string => rows.find((row) => row.path === pathText(path))?.from ?? 'default';
  const computed: Explained[] = [
    { path: 'path', value: config.path, from: found.from },
    { path: 'name', value: config.name, from: file.parsed.name === undefined ? 'from the path' : own(['name']) },
    ...(['address', 'namespace'] as const).map((key) => ({
      path: `temporal.${key}`,
      value: place[key].value,
      from: place[key].from === 'lifeboat.yml' ? own(['temporal', key]) : place[key].from,
    })),
    ...Object.entries(config.sources).map(([name, source]) => ({
      path: `sources.${name}.wal.slot`,
      value: source.wal.slot,
      from: file.parsed.sources[name]?.wal.slot === undefined ? 'from the name' : own(['sources', name, 'wal', 'slot']),
    })),
  ];
  const replaced = new Set(computed.map((row) => row.path));
  return [...computed.slice(0, 4), ...rows.filter((row) => !replaced.has(row.path)), ...computed.slice(4)].sort(byPart);
}

const PARTS = ['path', 'name', 'temporal', 'keys', 'stores', 'notifiers', 'sources', 'switches', 'services'];

/** Keeps the file's order inside a part and puts a source's computed values beside its others. */
function byPart(a: Explained, b: Explained): number {
  const rank = (row: Explained): number => PARTS.indexOf(row.path.split('.')[0] ?? '');
  const group = (row: Explained): string => row.path.split('.').slice(0, 2).join('.');
  return rank(a) - rank(b) || (rank(a) === PARTS.indexOf('sources') ? compareText(group(a), group(b)) : 0);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
