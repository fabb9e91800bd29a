import { failure } from './failure.ts';
import { formatLsn, parseLsn } from './lsn.ts';
import { NAME_FORM, NAME_MOST_LETTERS } from './names.ts';
import { nearestName } from './nearest.ts';
import type { Target } from './target.ts';
import { parseTargetTime } from './target-parse.ts';
import { isSince, SINCE_FORMS } from './wal-since.ts';

type Kind =
  | 'text'
  | 'name'
  | 'flag'
  | 'port'
  | 'count'
  | 'mapping'
  | 'texts'
  | 'list'
  | 'target'
  | 'timeline'
  | 'since'
  | readonly string[];

/** As long as a path may be. */
const LONGEST_TEXT = 4096;

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
  const { expected, fits } = PLAIN[kind];
  if (fits(value)) return value;
  throw wrong(place, { expected, found: shown(value) });
}

const PLAIN: Record<Exclude<Extract<Kind, string>, 'target'>, { expected: string; fits(value: unknown): boolean }> = {
  text: { expected: `a string of 1 to ${LONGEST_TEXT} letters`, fits: isText },
  name: {
    expected: 'a name: lower case letters, digits and "-" inside',
    fits: (value) => isText(value) && NAME_FORM.test(value) && value.length <= NAME_MOST_LETTERS,
  },
  flag: { expected: 'a boolean', fits: (value) => typeof value === 'boolean' },
  port: { expected: 'a port, 1 to 65535', fits: (value) => isCount(value) && value <= 65_535 },
  count: { expected: 'a whole number from 1', fits: isCount },
  mapping: { expected: 'an object', fits: isMapping },
  texts: { expected: 'an object of strings', fits: (value) => isMapping(value) && Object.values(value).every(isText) },
  list: { expected: 'a list of strings', fits: (value) => Array.isArray(value) && value.every(isText) },
  timeline: {
    expected: 'latest, current, or the number of a timeline',
    fits: (value) => value === 'latest' || value === 'current' || isCount(value),
  },
  since: { expected: SINCE_FORMS, fits: (value) => isText(value) && isSince(value) },
};

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_TEXT;
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0;
}

function isMapping(value: unknown): value is object {
  return kindOf(value) === 'object';
}

/** Keys of each kind of target, beside `kind`. */
const KEYS: Record<Target['kind'], readonly string[]> = {
  time: ['time', 'inclusive'],
  lsn: ['lsn', 'inclusive'],
  xid: ['xid', 'inclusive'],
  name: ['name'],
  immediate: [],
  latest: [],
};

/** A target in its one form: time in UTC, `inclusive` filled in. */
export function checkTarget(place: string, value: unknown): Target {
  if (!isMapping(value)) throw wrong(place, { expected: 'an object, like {"kind":"latest"}', found: shown(value) });
  const { kind, inclusive = true } = value as Record<string, unknown>;
  if (typeof kind !== 'string' || !Object.hasOwn(KEYS, kind))
    throw wrong(`${place}.kind`, { expected: Object.keys(KEYS).join(', '), found: shown(kind) });
  if (typeof inclusive !== 'boolean')
    throw wrong(`${place}.inclusive`, { expected: 'a boolean', found: shown(inclusive) });
  return targetOf(place, kind as Target['kind'], { given: value as Record<string, unknown>, inclusive });
}

function targetOf(
  place: string,
  kind: Target['kind'],
  { given, inclusive }: { given: Record<string, unknown>; inclusive: boolean },
): Target {
  const keys = KEYS[kind];
  const extra = Object.keys(given).find((key) => key !== 'kind' && !keys.includes(key));
  if (extra !== undefined) throw unknownKey(place, extra, ['kind', ...keys]);
  if (kind === 'immediate' || kind === 'latest') return { kind };
  const text = given[kind];
  if (!isText(text)) throw wrong(`${place}.${kind}`, { expected: PLAIN.text.expected, found: shown(text) });
  if (kind === 'name') return { kind, name: text };
  return { kind, [kind]: valueOf(`${place}.xid`, kind, text), inclusive } as Target;
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
