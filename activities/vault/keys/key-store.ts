import { failure, isFailure } from '../../../workflows/model/failure.ts';
import { isoTime } from '../../io/clock.ts';
import type { Run } from '../../io/run.ts';
import type { StoreSession } from '../../stores/store.ts';
import type { Kek } from '../codec/job.ts';
import type { Layout } from '../layout.ts';
import { readObject } from '../objects.ts';
import type { KeyRing } from '../vault.ts';
import { createKek, kekNamespace, openKek } from './kek.ts';

/** Key-encryption keys of one source: the one to write with now, and any to read with. */
export interface KekStore {
  /** Key of the present retention scope; made when the scope has none. */
  current(): Promise<Kek>;
  /** The key a message names. Integrity when the name is not of this source. */
  named(wrappedBy: { namespace: string; name: string }[], place: string): Promise<Kek>;
}

interface KeyPlace {
  source: string;
  store: StoreSession;
  layout: Layout;
  keys: KeyRing;
  run: Run;
}

export function createKekStore(place: KeyPlace): KekStore {
  const known = new Map<string, Promise<Kek>>();
  const remember = (scope: string, load: () => Promise<Kek>): Promise<Kek> => {
    const loading = known.get(scope) ?? load();
    known.set(scope, loading);
    // A failure is asked again next time: the store may have been away.
    loading.catch(() => known.delete(scope));
    return loading;
  };
  return {
    current: () => {
      const scope = scopeOf(place.run.clock.nowMs());
      return remember(scope, () => readOrCreate(place, scope));
    },
    named: (wrappedBy, from) => {
      const namespace = kekNamespace(place.source);
      const key = wrappedBy.find((candidate) => candidate.namespace === namespace);
      if (key) return remember(key.name, () => read(place, key.name));
      const found = wrappedBy.map((candidate) => candidate.namespace).join(', ');
      throw failure('Integrity', `${from} belongs to another source`, { place: from, expected: namespace, found });
    },
  };
}

/** Retention scope: the month of writing, UTC, and the version of its key. */
function scopeOf(nowMs: number): string {
  return `${isoTime(nowMs).slice(0, 7)}.1`;
}

async function read(place: KeyPlace, scope: string): Promise<Kek> {
  const key = place.layout.key(scope);
  return openKek(place.keys, { source: place.source, scope, place: key }, await readObject(place.store, key));
}

async function readOrCreate(place: KeyPlace, scope: string): Promise<Kek> {
  try {
    return await read(place, scope);
  } catch (error) {
    if (!isFailure(error, 'NotFound')) throw error;
  }
  const made = await createKek(place.keys, place.source, scope);
  await place.store.put(place.layout.key(scope), made.file, { ifAbsent: true });
  // Whoever won the race, and whatever reply was lost: what the store holds is the key.
  return read(place, scope);
}
