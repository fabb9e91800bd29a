import type { Document, ParsedNode } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Path, Problem } from './problem.ts';

export interface Position {
  /** Both from 1. */
  line: number;
  column: number;
}

/** A YAML text with the place of everything in it. */
export interface YamlFile {
  data: unknown;
  /** Syntax errors, duplicate keys, unknown tags; `data` is undefined when there is one. */
  problems: Problem[];
  /** The place of the value (or of its key) at `path`, or of the nearest ancestor that stands in the file. */
  locate(path: Path, of: 'key' | 'value'): Position;
}

const REASONS: Record<string, [reason: string, expected: string, found: string]> = {
  DUPLICATE_KEY: ['the key stands twice', 'each key once in a mapping', 'a second one'],
  TAB_AS_INDENT: ['a tab is used for indentation', 'spaces', 'a tab'],
  MULTIPLE_DOCS: ['the file holds more than one document', 'one document, without "---" between', 'another one'],
};

export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const positionOf = (offset: number): Position => {
    const found = lines.linePos(offset);
    return { line: found.line, column: found.col };
  };
  const problems = [...document.errors, ...document.warnings].map((error) => {
    const known = REASONS[error.code] ?? [firstLine(error.message), 'YAML 1.2', `error ${error.code}`];
    const [reason, expected, found] = known;
    return { path: '', reason, expected, found, ...positionOf(error.pos[0]) };
  });
  const data = problems.length === 0 ? toData(document, problems) : undefined;
  return {
    data,
    problems,
    locate: (path, of) => positionOf(offsetOf(document, path, of)),
  };
}

/** toJS refuses an alias bomb by throwing. */
function toData(document: Document<ParsedNode, boolean>, problems: Problem[]): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    const reason = firstLine(error instanceof Error ? error.message : String(error));
    problems.push({
      path: '',
      reason,
      expected: 'aliases that resolve',
      found: 'too many of them',
      line: 1,
      column: 1,
    });
    return undefined;
  }
}

function offsetOf(document: Document<ParsedNode, boolean>, path: Path, of: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const [index, step] of path.entries()) {
    const entry = childOf(document, node, step);
    if (!entry) return offset;
    const wanted = of === 'key' && index === path.length - 1 ? entry.key : (entry.value ?? entry.key);
    offset = startOf(wanted) ?? offset;
    node = entry.value;
  }
  return offset;
}

function childOf(
  document: Document<ParsedNode, boolean>,
  parent: unknown,
  step: string | number,
): { key: unknown; value: unknown } | undefined {
  const node: unknown = isAlias(parent) ? parent.resolve(document) : parent;
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
    return pair && { key: pair.key, value: pair.value };
  }
  const item: unknown = isSeq(node) ? node.items[Number(step)] : undefined;
  return item === undefined ? undefined : { key: item, value: item };
}

function startOf(node: unknown): number | undefined {
  const range = (node as { range?: [number, number, number] | null } | null)?.range;
  return range?.[0];
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  return line.charAt(0).toLowerCase() + line.slice(1);
}
