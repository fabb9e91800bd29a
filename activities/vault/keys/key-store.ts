import { failure, isFailure } from '../../../workflows/model/failure.ts';
import { isoTime } from '../../io/clock.ts';
import type { Run } from '../../io/run.ts';
import type { StoreSession } from '../../stores/store.ts';
import type { Kek } from '../codec/job.ts';
import type { KekId, Layout } from '../layout.ts';
import { kekName, parseKekKey, parseKekName, scopeOf } from '../layout.ts';
import type { KeyName } from '../message.ts';
import { isWholeMessage, KEK_NAMESPACE } from '../message.ts';
import { readObject } from '../objects.ts';
import type { KeyRing } from '../vault.ts';
import { createKeyFile, openKek } from './kek.ts';

/** Key-encryption keys of one source: the one to write with now, and any to read with. */
export interface KekStore {
  /** Newest version of the present retention scope's key; made when the scope has none. */
  current(): Promise<Kek>;
  /** The key a message names. Integrity when the name is not of this source. */
  named(wrappedBy: KeyName[], place: string): Promise<Kek>;
}

export interface KeyPlace {
  source: string;
  store: StoreSession;
  layout: Layout;
  keys: KeyRing;
  run: Run;
}

/** A key file holds one wrapped key for a few wrappers: larger is no key file. */
export const KEY_FILE_LIMIT = { mostBytes: 64 * 1024, isWhole: isWholeMessage };

export function createKekStore(place: KeyPlace): KekStore {
  const known = new Map<string, Promise<Kek>>();
  const remember = (name: string, load: () => Promise<Kek>): Promise<Kek> => {
    const loading = known.get(name) ?? load();
    known.set(name, loading);
    // A failure is asked again next time: the store may have been away.
    loading.catch(() => known.delete(name));
    return loading;
  };
  const read = (id: KekId): Promise<Kek> => remember(kekName(id), () => readKek(place, id));
  return {
    current: () => {
      const scope = scopeOf(place.source, isoTime(place.run.clock.nowMs()));
      return remember(scope, async () => read((await newest(place, scope)) ?? (await create(place, scope))));
    },
    named: async (wrappedBy, from) => {
      const ids = wrappedBy
        .filter(({ namespace }) => namespace === KEK_NAMESPACE)
        .map(({ name }) => parseKekName(place.source, name));
      if (ids[0]) return read(ids[0]);
      throw failure('Integrity', `${from} is not encrypted for ${place.source}`, {
        place: from,
        expected: `a key of ${place.source}`,
        found: wrappedBy.map(({ namespace, name }) => `${namespace}/${name}`).join(', '),
      });
    },
  };
}

async function newest(place: KeyPlace, scope: string): Promise<KekId | undefined> {
  let found: KekId | undefined;
  for await (const { key } of place.store.list(`${place.layout.keys}${scope}.`)) {
    const id = parseKekKey(place.source, key);
    if (id?.scope === scope && id.version > (found?.version ?? 0)) found = id;
  }
  return found;
}

/** Whoever wins the race, and whatever reply was lost: what the store holds afterwards is the key. */
async function create(place: KeyPlace, scope: string): Promise<KekId> {
  const id = { scope, version: 1 };
  const key = place.layout.key(id);
  const file = createKeyFile(place.keys, { ...id, source: place.source, place: key });
  await place.store.put(key, file, { ifAbsent: true });
  return id;
}

async function readKek(place: KeyPlace, id: KekId): Promise<Kek> {
  const key = place.layout.key(id);
  const file = await readKeyFile(place, key);
  return openKek(place.keys, { ...id, source: place.source, place: key }, file);
}

/** A vault that was copied without it is told from one that cannot be reached. */
async function readKeyFile(place: KeyPlace, key: string): Promise<Buffer> {
  try {
    return await readObject(place, key, KEY_FILE_LIMIT);
  } catch (error) {
    if (!isFailure(error, 'NotFound') || (await place.store.stat(key))) throw error;
    throw failure('NotFound', `key file ${key} is not in this vault`, {
      place: key,
      expected: 'the key file that was there when this was written',
      found: 'nothing',
      hint: `bring ${place.layout.keys} from the vault that this one was copied of; without it nobody can read this`,
    });
  }
}
