import { failure } from '../../workflows/model/failure.ts';
import type { StoreKey } from './store.ts';

const SEGMENT = /^[A-Za-z0-9!_.*'()@:,+=~ -]+$/;
const LONGEST = 900;

/** Bug when a key is not of the form StoreKey promises: keys are made by us, never by a user. */
export function checkKey(key: StoreKey): StoreKey {
  const segments = key.split('/');
  const legal = segments.every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..');
  if (!legal || key.length > LONGEST) {
    throw failure('Bug', `store key "${key}" is not legal`, {
      expected: `a/b/c of at most ${LONGEST} characters`,
      found: key,
    });
  }
  return key;
}
