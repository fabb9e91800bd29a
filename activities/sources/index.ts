import { registryOf } from '../io/registry.ts';
import { logicalSource } from './postgres-logical/index.ts';
import { postgresSource } from './postgres/index.ts';
import type { Source } from './source.ts';

const registry = registryOf<Source>('source', [postgresSource, logicalSource]);

/** Every kind of source. */
export const SOURCES: readonly Source[] = registry.kinds;

export function findSource(kind: string): Source {
  return registry.find(kind);
}
