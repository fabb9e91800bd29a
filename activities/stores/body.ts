import { Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import { orAborted } from '../io/or-aborted.ts';
import type { Body } from './store.ts';

/** A body as a fresh stream of chunks: a retry starts again from the first byte. */
export async function* chunksOf(body: Body): AsyncIterable<Uint8Array> {
  if (body instanceof Uint8Array) {
    if (body.length > 0) yield body;
    return;
  }
  yield* body();
}

/**
 * Reads the body of one put. Ends with the signal's reason as soon as it fires, even when the body is stuck; and knows the
 * body's own failure, which is not the store's and goes to the caller as it is.
 */
export class BodyReader {
  readonly #body: Body;
  readonly #signal: AbortSignal;
  #failed: { error: unknown } | undefined;

  constructor(body: Body, signal: AbortSignal) {
    this.#body = body;
    this.#signal = signal;
  }

  /** The whole of it, where it is in memory. */
  get whole(): Uint8Array | undefined {
    return this.#body instanceof Uint8Array ? this.#body : undefined;
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    const iterator = chunksOf(this.#body)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#next(iterator);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      const closing = Promise.resolve(iterator.return?.());
      // Stuck in next(), it would not answer this either.
      if (this.#signal.aborted || this.#failed) closing.catch(() => undefined);
      else await closing;
    }
  }

  async #next(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    try {
      return await orAborted(this.#signal, () => iterator.next());
    } catch (error) {
      this.#failed = { error };
      throw error;
    }
  }

  /** What to throw for a put that failed with `error`. */
  reasonOf(error: unknown, translate: (error: unknown) => unknown): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    return this.#failed ? this.#failed.error : translate(error);
  }
}

export interface Guard {
  signal: AbortSignal;
  /** Our failure for what the stream says. */
  translate(error: unknown): unknown;
}

/**
 * A stream as it leaves a store: it fails with our failures only, ends with the signal's reason as soon as it fires, and
 * never ends clean before its source did. Left alone, it holds no process and throws nothing.
 */
export function guarded(source: Readable, guard: Guard): Readable {
  const gate = new Transform({
    highWaterMark: source.readableHighWaterMark,
    transform: (chunk, _encoding, done) => done(null, chunk),
  });
  const fail = (error: unknown): void => void gate.destroy(error as Error);
  const onAbort = (): void => fail(guard.signal.reason);
  source.on('error', (error) => fail(guard.translate(error)));
  source.once('close', () => {
    if (!source.readableEnded) fail(guard.translate(brokenOff()));
  });
  gate.on('error', () => undefined);
  gate.once('close', () => {
    guard.signal.removeEventListener('abort', onAbort);
    source.destroy();
  });
  if (guard.signal.aborted) onAbort();
  else guard.signal.addEventListener('abort', onAbort, { once: true });
  return source.pipe(gate);
}

function brokenOff(): Error {
  return Object.assign(new Error('closed before its end'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}
