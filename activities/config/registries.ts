import { NOTIFIERS } from '../notifiers/index.ts';
import { SOURCES } from '../sources/index.ts';
import { STORES } from '../stores/index.ts';
import { SWITCHES } from '../switches/index.ts';
import type { Registries } from './schema.ts';

/** Whether the points of a kind of source are dumps. */
export function isDumped(kind: string): boolean {
  return SOURCES.find((source) => source.kind === kind)?.dumps === true;
}

export const REGISTRIES: Registries = { stores: STORES, sources: SOURCES, notifiers: NOTIFIERS, switches: SWITCHES };
