import { registryOf } from '../io/registry.ts';
import { filesystemStore } from './filesystem.ts';
import { s3Store } from './s3/index.ts';
import type { Store } from './store.ts';

const registry = registryOf<Store>('store', [filesystemStore, s3Store]);

/** Every kind of store. Adding one: docs/add-a-store.md. */
export const STORES: readonly Store[] = registry.kinds;

export function findStore(kind: string): Store {
  return registry.find(kind);
}
