import { nearestName } from '../../workflows/model/nearest.ts';

/** What is wrong with a time zone name, or undefined. Only IANA names: an offset does not know daylight saving time. */
export function timezoneProblem(name: string): string | undefined {
  if (/^[+-]|^(?:UTC|GMT)[+-]/i.test(name))
    return 'an IANA name like Europe/Berlin or UTC: an offset does not follow the clock';
  const known = Intl.supportedValuesOf('timeZone');
  const exact = [...known, 'UTC'].find((zone) => zone.toLowerCase() === name.toLowerCase());
  if (exact !== undefined) return exact === name ? undefined : `"${exact}": names are case sensitive`;
  if (isAlias(name)) return undefined;
  const near = nearestName(name, known);
  return near === undefined ? 'an IANA name like Europe/Berlin or UTC' : `an IANA name; did you mean "${near}"?`;
}

/** Older names (Asia/Calcutta, US/Eastern) are not listed but known. */
function isAlias(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return /^[A-Z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name);
  } catch {
    return false;
  }
}
