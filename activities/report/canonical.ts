import { createHash } from 'node:crypto';

/** The one form of a JSON value that is hashed: RFC 8785. Numbers and strings are as JSON.stringify writes them, which is what it demands. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((each) => canonicalJson(each ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const sorted = members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
}

/** In hexadecimal digits. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Numbers with more decimals are written differently by different languages when they are small. */
const DECIMALS = 1000;

/** The same value with nothing in it that two JSON libraries would write in two ways. */
export function tidied<T>(value: T): T {
  return tidy(value) as T;
}

function tidy(value: unknown): unknown {
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value === 'number') return Number.isInteger(value) ? value : Math.round(value * DECIMALS) / DECIMALS;
  if (Array.isArray(value)) return value.map((each) => tidy(each ?? null));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [wellFormed(name), tidy(member)]));
}

/** Half of a surrogate pair, as a text has that was cut, is nothing that UTF-8 can hold. */
function wellFormed(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
