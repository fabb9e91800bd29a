import type { Body } from './store.ts';

/** A body as a fresh stream of chunks: a retry starts again from the first byte. */
export async function* chunksOf(body: Body): AsyncIterable<Uint8Array> {
  if (body instanceof Uint8Array) {
    if (body.length > 0) yield body;
    return;
  }
  yield* body();
}

/** Ends with the signal's reason as soon as it fires between two chunks. */
export async function* untilAborted(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  signal.throwIfAborted();
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    yield chunk;
  }
}
