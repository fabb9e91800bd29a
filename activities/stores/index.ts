import { failure } from '../../workflows/model/failure.ts';
import { filesystemStore } from './filesystem.ts';
import { s3Store } from './s3/index.ts';
import type { Store } from './store.ts';

/** Every kind of store. Adding one: docs/add-a-store.md. */
export const STORES: readonly Store[] = [filesystemStore, s3Store];

export function findStore(kind: string): Store {
  const found = STORES.find((store) => store.kind === kind);
  if (found) return found;
  const known = STORES.map((store) => store.kind).join(', ');
  throw failure('ConfigInvalid', `store kind "${kind}" is unknown`, {
    expected: known,
    found: kind,
    hint: 'lifeboat config check',
  });
}
