import type { StoreSession } from '../stores/store.ts';
import { failure, findFailure } from '../../workflows/model/failure.ts';

const TRIES = 4;

/** A whole object in a buffer of its own memory. A stream that breaks midway is read again from the start. */
export async function readObject(store: StoreSession, key: string): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    const stream = await store.get(key);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return alone(chunks);
    } catch (error) {
      if (attempt < TRIES && !isAbort(error)) continue;
      throw findFailure(error) ?? broken(key, error);
    }
  }
}

function isAbort(error: unknown): boolean {
  return (error as Error).name === 'AbortError' || (error as Error).name === 'CancelledFailure';
}

function broken(key: string, error: unknown): Error {
  if (isAbort(error)) return error as Error;
  return failure('Unavailable', `store broke off while ${key} was read`, { place: key, cause: error });
}

/** One buffer that may be transferred to a thread. */
function alone(chunks: Buffer[]): Buffer {
  const whole = Buffer.allocUnsafeSlow(chunks.reduce((bytes, chunk) => bytes + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) at += chunk.copy(whole, at);
  return whole;
}
