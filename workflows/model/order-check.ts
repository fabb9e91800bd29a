import { failure } from './failure.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import { nearestName } from './nearest.ts';
import type { Target } from './target.ts';
import { parseTargetTime } from './target-parse.ts';

type Kind = 'text' | 'flag' | 'number' | 'mapping' | 'target' | 'timeline' | readonly string[];

/** Keys an order may have; those that end in "!" it must have. */
export type OrderShape = Readonly<Record<string, Kind>>;

/**
 * Checks what a person typed into the Temporal UI. ConfigInvalid naming the key; returns the order with its target in
 * one form. A misspelt key would otherwise mean its default, and a restore to the wrong moment.
 */
export function checkOrder<Order>(workflow: string, order: unknown, shape: OrderShape): Order {
  if (typeof order !== 'object' || order === null || Array.isArray(order)) {
    throw wrong(workflow, { expected: 'one JSON object, like {"source":"shop"}', found: kindOf(order) });
  }
  const given = order as Record<string, unknown>;
  const kinds = new Map(Object.entries(shape).map(([key, kind]) => [key.replace(/!$/, ''), kind]));
  for (const key of Object.keys(given)) if (!kinds.has(key)) throw unknownKey(workflow, key, [...kinds.keys()]);
  for (const key of Object.keys(shape)) {
    if (key.endsWith('!') && given[key.slice(0, -1)] === undefined) throw missing(workflow, key.slice(0, -1));
  }
  const checked: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    checked[key] = checkValue(`${workflow}.${key}`, value, kinds.get(key) as Kind);
  }
  return checked as Order;
}

function checkValue(place: string, value: unknown, kind: Kind): unknown {
  if (kind === 'target') return checkTarget(place, value);
  if (typeof kind !== 'string') {
    if (kind.includes(value as string)) return value;
    throw wrong(place, { expected: kind.join(', '), found: shown(value) });
  }
  if (kind === 'timeline') {
    if (value === 'latest' || value === 'current' || (Number.isInteger(value) && (value as number) > 0)) return value;
    throw wrong(place, { expected: 'latest, current, or the number of a timeline', found: shown(value) });
  }
  const wanted = { text: 'string', flag: 'boolean', number: 'number', mapping: 'object' }[kind];
  if (kindOf(value) === wanted && value !== '') return value;
  throw wrong(place, { expected: `a ${wanted}`, found: shown(value) });
}

const TARGETS = ['time', 'lsn', 'xid', 'name', 'immediate', 'latest'] as const;

/** A target in its one form: time in UTC, `inclusive` filled in. */
export function checkTarget(place: string, value: unknown): Target {
  if (kindOf(value) !== 'object')
    throw wrong(place, { expected: 'an object, like {"kind":"latest"}', found: shown(value) });
  const { kind, inclusive = true, ...rest } = value as Record<string, unknown>;
  if (!TARGETS.includes(kind as never))
    throw wrong(`${place}.kind`, { expected: TARGETS.join(', '), found: shown(kind) });
  if (typeof inclusive !== 'boolean')
    throw wrong(`${place}.inclusive`, { expected: 'a boolean', found: shown(inclusive) });
  if (kind === 'immediate' || kind === 'latest') return { kind };
  const named = kind as 'time' | 'lsn' | 'xid' | 'name';
  const text = rest[named];
  const extra = Object.keys(rest).find((key) => key !== named);
  if (extra !== undefined) throw unknownKey(place, extra, ['kind', named, 'inclusive']);
  if (typeof text !== 'string' || text === '')
    throw wrong(`${place}.${named}`, { expected: 'a text', found: shown(text) });
  if (named === 'name') return { kind: named, name: text };
  return { kind: named, [named]: valueOf(`${place}.xid`, named, text), inclusive } as Target;
}

function valueOf(place: string, kind: 'time' | 'lsn' | 'xid', text: string): string {
  if (kind === 'time') return parseTargetTime(text);
  if (kind === 'lsn') return formatLsn(parseLsn(text));
  if (/^[1-9]\d{0,18}$/.test(text)) return text;
  throw wrong(place, { expected: 'a transaction id: digits', found: text });
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value);
}

function wrong(place: string, { expected, found }: { expected: string; found: string }): Error {
  return failure('ConfigInvalid', `order ${place} is not ${expected}`, {
    place,
    expected,
    found,
    hint: 'start it again with a corrected input; README "From the Temporal UI" has examples',
  });
}

function missing(workflow: string, key: string): Error {
  return failure('ConfigInvalid', `order ${workflow} lacks "${key}"`, {
    place: `${workflow}.${key}`,
    expected: 'a value',
    found: 'nothing',
    hint: `start it with {"${key}":"..."}`,
  });
}

function unknownKey(place: string, key: string, known: string[]): Error {
  const near = nearestName(key, known);
  const meant = near === undefined ? '' : `, did you mean "${near}"?`;
  return failure('ConfigInvalid', `order ${place} has an unknown key "${key}"${meant}`, {
    place: `${place}.${key}`,
    expected: `one of ${known.join(', ')}`,
    found: key,
    hint: 'start it again with a corrected input',
  });
}
