import { orAborted } from '../io/or-aborted.ts';
import type { StoreSession } from '../stores/store.ts';

/**
 * The store as a run sees it: a call that hangs ends, for the caller, with the run's signal. What it does in the store
 * may still happen later, so nothing here may depend on it not happening.
 */
export function abortable(store: StoreSession, signal: AbortSignal): StoreSession {
  return {
    put: (key, body, options) => orAborted(signal, () => store.put(key, body, options)),
    get: (key, range) =>
      orAborted(signal, async () => {
        const stream = await store.get(key, range);
        // Nobody waits for it any more: an open stream would hold a connection or a file.
        if (signal.aborted) stream.destroy();
        return stream;
      }),
    stat: (key) => orAborted(signal, () => store.stat(key)),
    list: (prefix, options) => listed(store.list(prefix, options), signal),
    remove: (key) => orAborted(signal, () => store.remove(key)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function* listed<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await orAborted(signal, () => iterator.next());
      if (done) return;
      yield value;
    }
  } finally {
    // A generator that hangs inside next() would never answer.
    if (!signal.aborted) await iterator.return?.();
  }
}
