import { after, before, suite, test } from 'node:test';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { STORES } from '../../activities/stores/index.ts';
import type { ByteRange, Store, StoreSession } from '../../activities/stores/store.ts';
import type { StorePlace, StorePlaces } from './store-places.ts';
import { STORE_FIXTURES } from './store-places.ts';

/** A new place of one kind, and a session on it. */
export interface Bench {
  store: Store;
  place: StorePlace;
  session: StoreSession;
  /** Another session on the same place. */
  open(run?: Partial<Run>): Promise<StoreSession>;
}

/** Declares one test of a promise that every store makes. */
export type Promised = (name: string, body: (bench: Bench) => Promise<void>) => void;

/** A test that waits for what never comes must not hold the others. */
const LONGEST_MS = 120_000;

/** Runs the same promises for every registered kind; one that this machine cannot serve is skipped with its reason. */
export function everyStore(title: string, declare: (promise: Promised) => void): void {
  for (const store of STORES) {
    const skip = STORE_FIXTURES[store.kind]?.missing() ?? false;
    suite(`${title}: ${store.kind}`, { skip }, () => declare(promisesOf(store)));
  }
}

function promisesOf(store: Store): Promised {
  let places: StorePlaces;
  before(async () => {
    const fixture = STORE_FIXTURES[store.kind];
    if (!fixture) throw new Error(`store kind ${store.kind} has no fixture in test/support/store-places.ts`);
    places = await fixture.start();
  });
  after(() => places[Symbol.asyncDispose]());
  return (name, body) =>
    void test(name, { timeout: LONGEST_MS }, async () => {
      await using place = await places.create();
      const open = (run: Partial<Run> = {}): Promise<StoreSession> => store.open(place.options, plainRun(run));
      await using session = await open();
      await body({ store, place, session, open });
    });
}

export async function readAll(session: StoreSession, key: string, range?: ByteRange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await session.get(key, range)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function keysOf(session: StoreSession, prefix = '', startAfter?: string): Promise<string[]> {
  const keys: string[] = [];
  const options = startAfter === undefined ? {} : { startAfter };
  for await (const { key } of session.list(prefix, options)) keys.push(key);
  return keys;
}
