import type { UsualTells } from '../../workflows/model/severity.ts';
import { SERVICE_CHECKS } from '../checks/index.ts';
import { NOTIFIERS } from '../notifiers/index.ts';
import { SOURCES } from '../sources/index.ts';
import { STORES } from '../stores/index.ts';
import { SWITCHES } from '../switches/index.ts';
import type { Registries } from './schema.ts';

/** Whether the points of a kind of source are dumps. */
export function isDumped(kind: string): boolean {
  return SOURCES.find((source) => source.kind === kind)?.dumps === true;
}

/** What a kind of notifier tells when the file does not say. */
export function usualOf(kind: string): UsualTells {
  return NOTIFIERS.find((notifier) => notifier.kind === kind)?.usual ?? { priorities: [] };
}

/** What of a kind of switch stands on one host, in words; undefined: nothing does. */
export function standsOnHost(kind: string): string | undefined {
  return SWITCHES.find((each) => each.kind === kind)?.onHost;
}

export const REGISTRIES: Registries = {
  ...{ stores: STORES, sources: SOURCES, notifiers: NOTIFIERS, switches: SWITCHES },
  checks: SERVICE_CHECKS,
};
