import { failure } from '../../workflows/model/failure.ts';
import type { StoreKey } from './store.ts';

const SEGMENT = /^[A-Za-z0-9!_.*'()@:,+=~ -]+$/;
const LONGEST = 900;
/** NAME_MAX of every file system in use. */
const LONGEST_SEGMENT = 255;
/** Folder of unfinished files on a file system. */
export const STAGING = '.staging';

/** Bug when a key is not of the form StoreKey promises: keys are made by us, never by a user. */
export function checkKey(key: StoreKey): StoreKey {
  const segments = key.split('/');
  if (!segments.every(isLegal) || segments[0] === STAGING || key.length > LONGEST) {
    throw failure('Bug', `store key "${key}" is not legal`, {
      expected: `a/b/c of at most ${LONGEST} characters`,
      found: key,
    });
  }
  return key;
}

function isLegal(segment: string): boolean {
  return SEGMENT.test(segment) && segment !== '.' && segment !== '..' && segment.length <= LONGEST_SEGMENT;
}
