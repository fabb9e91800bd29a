import { pipeline, Readable, Transform } from 'node:stream';
import { failure } from '../../../workflows/model/failure.ts';
import type { StoreSession } from '../store.ts';
import type { Operation } from './wrap.ts';
import { wrapSession } from './wrap.ts';

/**
 * fail: nothing happens and Unavailable is thrown. lost-reply: it happens and Unavailable is thrown. hang: nothing happens
 * until `release`, then Unavailable is thrown. late: it happens after `release`. truncate: a get ends early without an
 * error. trickle: a get comes in small pieces.
 */
export type FaultKind = 'fail' | 'lost-reply' | 'hang' | 'late' | 'truncate' | 'trickle';

export interface Fault {
  kind: FaultKind;
  /** Which call of the session it hits, counted from 1 over all operations. */
  call: number;
  /** Ends a hang or a late answer; without it they do not end. */
  release?: Promise<void>;
  /** Told when the call is hit. */
  onHit?(): void;
}

export interface FaultLog {
  calls: { operation: Operation; key: string }[];
}

const NEVER = new Promise<void>(() => {});

/** A session whose n-th call goes wrong as told; the log says which calls there were, so a test can hit each in turn. */
export function withFault(inner: StoreSession, fault: Fault | undefined, log: FaultLog): StoreSession {
  return wrapSession(inner, {
    around: (operation, key, call) => {
      log.calls.push({ operation, key });
      if (log.calls.length !== fault?.call) return call();
      fault.onHit?.();
      return faulty(fault, `${operation} ${key}`, call);
    },
  });
}

async function faulty<T>(fault: Fault, what: string, call: () => Promise<T>): Promise<T> {
  const { kind, release = NEVER } = fault;
  const broken = failure('Unavailable', `store ${what} was made to fail`, { place: what });
  switch (kind) {
    case 'fail':
      throw broken;
    case 'lost-reply':
      drop(await call());
      throw broken;
    case 'hang':
      await release;
      throw broken;
    case 'late':
      await release;
      return call();
    case 'truncate':
      return reshaped(await call(), halfOf());
    case 'trickle':
      return reshaped(await call(), smallPieces());
  }
}

function drop(answer: unknown): void {
  if (answer instanceof Readable) answer.destroy();
}

/** Only the answer to a get is a stream. */
function reshaped<T>(answer: T, shape: Transform): T {
  return answer instanceof Readable ? (pipeline(answer, shape, () => undefined) as unknown as T) : answer;
}

/** Passes the first half of the first chunk and drops the rest, as a proxy that closes early without an error does. */
function halfOf(): Transform {
  let first = true;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      done(null, first ? chunk.subarray(0, chunk.length >> 1) : undefined);
      first = false;
    },
  });
}

const PIECE_BYTES = 997;

function smallPieces(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) this.push(chunk.subarray(at, at + PIECE_BYTES));
      done();
    },
  });
}
