import { failure } from './failure.ts';

const FORM = /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ])(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(.*)$/;
const OFFSET = /^(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)$/;
const EXAMPLE = '2026-03-01T12:00:00+01:00 or 2026-03-01T11:00:00Z';

/**
 * A moment as people write it, to ISO 8601 UTC with microseconds, PostgreSQL's resolution: "2026-03-01T11:00:00.000000Z".
 * ConfigInvalid for what is relative, has no offset (whose noon?) or is no moment, each with what to write instead.
 */
export function parseTargetTime(text: string): string {
  return isoOfMicros(timeMicros(text));
}

/** Microseconds since 1970-01-01 UTC; exact up to the year 2255. */
export function timeMicros(text: string): number {
  const match = FORM.exec(text.trim());
  if (!match) throw notATime(text);
  const offsetMinutes = readOffset(text, match[8] ?? '');
  const fields = match.slice(1, 7).map((field) => Number(field ?? 0)) as Fields;
  checkCalendar(text, fields);
  const [year, month, day, hour, minute, second] = fields;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second) - offsetMinutes * 60_000;
  return ms * 1000 + Number((match[7] ?? '').padEnd(6, '0').slice(0, 6));
}

export function isoOfMicros(micros: number): string {
  const fraction = ((micros % 1_000_000) + 1_000_000) % 1_000_000;
  const seconds = new Date((micros - fraction) / 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(fraction).padStart(6, '0')}Z`;
}

type Fields = [year: number, month: number, day: number, hour: number, minute: number, second: number];

function notATime(text: string): Error {
  const dayOnly = /^\d{4}-\d{2}-\d{2}$/.test(text.trim());
  const what = dayOnly ? 'is a day, not a moment' : 'is not an absolute time';
  return failure('ConfigInvalid', `target time "${text}" ${what}`, {
    place: 'target.time',
    expected: `date, time and offset: ${EXAMPLE}`,
    found: text,
    hint: dayOnly ? `write ${text.trim()}T00:00:00Z, or with your offset` : `write it like ${EXAMPLE}`,
  });
}

function readOffset(text: string, rest: string): number {
  const match = OFFSET.exec(rest);
  if (match) {
    const minutes = Number(match[2] ?? 0) * 60 + Number(match[3] ?? 0);
    if (Number(match[3] ?? 0) < 60 && minutes <= 18 * 60) return match[1] === '-' ? -minutes : minutes;
  }
  const bare = text
    .trim()
    .slice(0, text.trim().length - rest.length)
    .trim()
    .replace(' ', 'T');
  throw failure('ConfigInvalid', `target time "${text}" has no offset that can be relied on`, {
    place: 'target.time',
    expected: 'an offset from UTC at its end: Z, +01:00, -0330',
    found: rest === '' ? 'none' : rest,
    hint: `write ${bare}Z for UTC, or ${bare}+01:00 for a clock one hour ahead of it`,
  });
}

function checkCalendar(text: string, fields: Fields): void {
  const [year, month, day, hour, minute, second] = fields;
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const legal = month >= 1 && month <= 12 && day >= 1 && day <= days && hour < 24 && minute < 60 && second < 60;
  if (legal && year >= 2000 && year < 2250) return;
  throw failure('ConfigInvalid', `target time "${text}" does not exist in the calendar`, {
    place: 'target.time',
    expected: `a moment like ${EXAMPLE}`,
    found: text,
    hint: 'correct day, month or hour',
  });
}
