import type { Readable } from 'node:stream';
import type { Body, ByteRange, ObjectStat, PutOptions, StoreKey, StoreSession } from '../store.ts';

export type Operation = 'put' | 'get' | 'stat' | 'list' | 'remove';

/** Runs one call of a session: a wrapper decides when, how often, and what it looks like from outside. */
export interface Around {
  <T>(operation: Operation, key: string, call: () => Promise<T>): Promise<T>;
}

export interface Shape {
  around: Around;
  /** Bodies on their way in and out, if they are to be touched. */
  bodyIn?(body: Body): Body;
  streamOut?(stream: Readable): Readable;
}

/** A session that behaves like `inner`, seen through `shape`. A listing is one call for each page-like first step. */
export function wrapSession(inner: StoreSession, shape: Shape): StoreSession {
  const { around } = shape;
  const bodyIn = shape.bodyIn ?? ((body: Body) => body);
  const streamOut = shape.streamOut ?? ((stream: Readable) => stream);
  const wrapped: StoreSession = {
    put: (key: StoreKey, body: Body, options?: PutOptions) =>
      around('put', key, () => inner.put(key, bodyIn(body), options)),
    get: async (key: StoreKey, range?: ByteRange) => streamOut(await around('get', key, () => inner.get(key, range))),
    stat: (key: StoreKey) => around('stat', key, () => inner.stat(key)),
    list: (prefix: string, options?: { startAfter?: StoreKey }) => listAround(inner, around, { prefix, ...options }),
    remove: (key: StoreKey) => around('remove', key, () => inner.remove(key)),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  const { lock } = inner;
  return lock ? { ...wrapped, lock: (key, until) => lock.call(inner, key, until) } : wrapped;
}

const BATCH = 1000;

/** Lists in batches, each of which is one call that can be repeated from where the last one ended. */
async function* listAround(
  inner: StoreSession,
  around: Around,
  query: { prefix: string; startAfter?: StoreKey },
): AsyncIterable<ObjectStat> {
  let after = query.startAfter;
  for (;;) {
    const from = after;
    const batch = await around('list', query.prefix, () => takeBatch(inner, query.prefix, from));
    yield* batch;
    if (batch.length < BATCH) return;
    after = batch.at(-1)?.key;
  }
}

async function takeBatch(inner: StoreSession, prefix: string, startAfter: StoreKey | undefined): Promise<ObjectStat[]> {
  const batch: ObjectStat[] = [];
  for await (const item of inner.list(prefix, startAfter === undefined ? {} : { startAfter })) {
    batch.push(item);
    if (batch.length === BATCH) break;
  }
  return batch;
}
