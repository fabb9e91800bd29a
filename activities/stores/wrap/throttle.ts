import { Transform } from 'node:stream';
import { pipeline } from 'node:stream';
import type { Readable } from 'node:stream';
import type { Run } from '../../io/run.ts';
import { chunksOf } from '../body.ts';
import type { StoreSession } from '../store.ts';
import { wrapSession } from './wrap.ts';

const SLICE_BYTES = 64 * 1024;

/** At most `bytesPerSecond` through this session, both ways together, with at most a second's worth at once. */
export function withThrottle(inner: StoreSession, run: Run, bytesPerSecond: number): StoreSession {
  const take = tokenBucket(run, bytesPerSecond);
  return wrapSession(inner, {
    around: (_operation, _key, call) => call(),
    bodyIn: (body) =>
      async function* () {
        for await (const chunk of chunksOf(body)) yield* slowly(chunk, take);
      },
    streamOut: (stream) => throttledStream(stream, take),
  });
}

type Take = (bytes: number) => Promise<void>;

function tokenBucket(run: Run, bytesPerSecond: number): Take {
  let tokens = bytesPerSecond;
  let filledAtMs = run.clock.nowMs();
  return async (bytes) => {
    const nowMs = run.clock.nowMs();
    tokens = Math.min(bytesPerSecond, tokens + ((nowMs - filledAtMs) / 1000) * bytesPerSecond) - bytes;
    filledAtMs = nowMs;
    if (tokens < 0) await run.clock.sleep((-tokens / bytesPerSecond) * 1000, run.signal);
  };
}

async function* slowly(chunk: Uint8Array, take: Take): AsyncIterable<Uint8Array> {
  for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
    const slice = chunk.subarray(at, at + SLICE_BYTES);
    await take(slice.length);
    yield slice;
  }
}

function throttledStream(stream: Readable, take: Take): Readable {
  const gate = new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      take(chunk.length).then(
        () => done(null, chunk),
        (error: unknown) => done(error as Error),
      );
    },
  });
  return pipeline(stream, gate, () => undefined);
}
