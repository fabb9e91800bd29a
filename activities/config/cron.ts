import { failure } from '../../workflows/model/failure.ts';

/** The values that match, ascending; weekdays from 0 = Sunday. A time matches when every field does. */
export interface CronFields {
  minute: number[];
  hour: number[];
  dayOfMonth: number[];
  month: number[];
  dayOfWeek: number[];
}

interface FieldRule {
  name: keyof CronFields;
  min: number;
  max: number;
  names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const RULES: readonly FieldRule[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'dayOfMonth', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: ['', ...MONTHS] },
  { name: 'dayOfWeek', min: 0, max: 7, names: DAYS },
];

const SHORTHANDS: Record<string, string> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};

/**
 * Five fields (minute, hour, day of month, month, day of week) with lists, ranges, steps and English names, or a
 * shorthand like @daily. ConfigInvalid for anything else, for what never comes (30 February), and when both day fields
 * are restricted: Vixie cron takes that as "or", Temporal as "and".
 */
export function parseCron(text: string): CronFields {
  const words = (SHORTHANDS[text.trim().toLowerCase()] ?? text).trim().split(/\s+/);
  if (words.length !== RULES.length) throw invalid(text, 'five fields: minute hour day-of-month month day-of-week');
  const fields = Object.fromEntries(
    RULES.map((rule, index) => [rule.name, parseField(text, words[index] ?? '', rule)]),
  ) as Record<keyof CronFields, number[]>;
  fields.dayOfWeek = ascending(fields.dayOfWeek.map((day) => day % 7));
  refuseImpossible(text, fields);
  return fields;
}

function refuseImpossible(text: string, fields: CronFields): void {
  if (fields.dayOfMonth.length < 31 && fields.dayOfWeek.length < 7) {
    throw invalid(text, 'a day of month or a day of week, not both: programs disagree on what both mean');
  }
  const longest = Math.max(...fields.month.map((month) => MONTH_DAYS[month - 1] ?? 31));
  if (Math.min(...fields.dayOfMonth) > longest) throw invalid(text, 'a day that one of its months has');
}

function parseField(text: string, word: string, rule: FieldRule): number[] {
  return ascending(word.split(',').flatMap((item) => parseItem(text, item, rule)));
}

interface Steps {
  from: number;
  to: number;
  by: number;
}

function parseItem(text: string, item: string, rule: FieldRule): number[] {
  const steps = readSteps(item, rule);
  if (steps && steps.to >= steps.from && steps.by >= 1) {
    const count = Math.floor((steps.to - steps.from) / steps.by) + 1;
    return Array.from({ length: count }, (_, index) => steps.from + index * steps.by);
  }
  throw invalid(text, `in field ${rule.name}: ${rule.min} to ${rule.max}, "*", "a-b", "a,b" or "*/n", not "${item}"`);
}

function readSteps(item: string, rule: FieldRule): Steps | undefined {
  const [, low = '', high, step] = /^([^-/]+)(?:-([^-/]+))?(?:\/(\d+))?$/.exec(item) ?? [];
  const by = Number(step ?? 1);
  if (low === '*') return high === undefined ? { from: rule.min, to: lastOf(rule), by } : undefined;
  const from = valueOf(low, rule);
  const to = high === undefined ? (step === undefined ? from : lastOf(rule)) : valueOf(high, rule);
  return from === undefined || to === undefined ? undefined : { from, to, by };
}

/** "*" and "n/step" end on Saturday, though 7 is a second name of Sunday. */
function lastOf(rule: FieldRule): number {
  return rule.name === 'dayOfWeek' ? 6 : rule.max;
}

function valueOf(word: string, rule: FieldRule): number | undefined {
  const named = rule.names?.indexOf(word.toLowerCase()) ?? -1;
  if (word !== '' && named >= 0) return named;
  if (!/^\d{1,2}$/.test(word)) return undefined;
  const value = Number(word);
  return value >= rule.min && value <= rule.max ? value : undefined;
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

function invalid(text: string, expected: string): Error {
  return failure('ConfigInvalid', `cron expression "${text}" is not usable`, { expected, found: text });
}
