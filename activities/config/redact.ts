import { isMapping } from './walk.ts';
import type { Environment } from './temporal.ts';

/** The reference and whether something is there; never the secret. */
export function secretText(ref: unknown, environment: Environment): string {
  if (!isMapping(ref)) return '[secret]';
  const variable = ref['env'];
  if (typeof variable === 'string') {
    return `[secret] from environment ${variable} (${environment[variable] ? 'set' : 'not set'})`;
  }
  return `[secret] from file ${String(ref['file'])}`;
}

/** A password in a URL is a secret too. */
export function redactUrl(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):[^\s@/]*@/i, '$1:[secret]@');
}
