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

/** A session that behaves like `inner`, seen through `shape`. A listing is one call for each batch of its items. */
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

interface ListQuery {
  prefix: string;
  startAfter?: StoreKey;
}

/** A listing under way: its next item is the first one behind `after`. */
interface Position {
  items: AsyncIterator<ObjectStat>;
  after: StoreKey | undefined;
}

/**
 * Lists in batches, each of which is one call that may be repeated. A listing goes on where it stands; after a failure, or
 * an answer that was lost, it starts again behind the last item that arrived.
 */
async function* listAround(inner: StoreSession, around: Around, query: ListQuery): AsyncIterable<ObjectStat> {
  let after = query.startAfter;
  let at: Position | undefined;
  const takeBatch = async (): Promise<ObjectStat[]> => {
    if (at?.after !== after) close(at);
    const { items } = at?.after === after && at ? at : openAt(inner, query.prefix, after);
    at = undefined;
    const batch = await take(items, BATCH);
    at = { items, after: batch.at(-1)?.key };
    return batch;
  };
  try {
    for (;;) {
      const batch = await around('list', query.prefix, takeBatch);
      yield* batch;
      if (batch.length < BATCH) return;
      after = batch.at(-1)?.key;
    }
  } finally {
    close(at);
  }
}

function openAt(inner: StoreSession, prefix: string, after: StoreKey | undefined): Position {
  const items = inner.list(prefix, after === undefined ? {} : { startAfter: after })[Symbol.asyncIterator]();
  return { items, after };
}

/** Nobody waits for it: what hangs inside would never answer. */
function close(at: Position | undefined): void {
  at?.items.return?.().catch(() => undefined);
}

async function take(items: AsyncIterator<ObjectStat>, most: number): Promise<ObjectStat[]> {
  const batch: ObjectStat[] = [];
  while (batch.length < most) {
    const next = await items.next();
    if (next.done) break;
    batch.push(next.value);
  }
  return batch;
}
