import type { Config } from './config/index.ts';
import type { SecretRef } from './io/secret.ts';
import { resolveSecret } from './io/secret.ts';

/** Shorter ones are words, which a text may well have by chance. */
const SHORTEST = 6;
const PLACEHOLDER = '[secret]';

/**
 * Takes out of a text what the configuration refers to as a secret, as it is and as an address would have it. Read anew at each
 * use; what cannot be read on this host is not known here.
 */
export function redactor({ sources, stores, notifiers, switches, services }: Config): (text: string) => string {
  const values = [sources, stores, notifiers, switches, services].flatMap(secretsIn);
  const forms = values.flatMap((value) => [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]);
  const wanted = [...new Set(forms)].filter(({ length }) => length >= SHORTEST);
  // One may be a part of another.
  wanted.sort((a, b) => b.length - a.length);
  return (text) => wanted.reduce((clean, value) => clean.replaceAll(value, PLACEHOLDER), text);
}

function secretsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (isReference(value)) return valuesOf(value);
  return Object.values(value).flatMap(secretsIn);
}

function isReference(value: object): value is SecretRef {
  const [[key, text] = [], ...more] = Object.entries(value);
  return more.length === 0 && (key === 'env' || key === 'file') && typeof text === 'string';
}

/** The whole, and each of its lines: a file may hold several. */
function valuesOf(ref: SecretRef): string[] {
  try {
    const value = resolveSecret(ref, 'secret').reveal();
    return [value, ...value.split(/\r?\n/)];
  } catch {
    return [];
  }
}
