import { Transform } from 'node:stream';
import { pipeline } from 'node:stream';
import { failure } from '../../../workflows/model/failure.ts';
import type { StoreSession } from '../store.ts';
import type { Operation } from './wrap.ts';
import { wrapSession } from './wrap.ts';

/**
 * fail: nothing happens and Unavailable is thrown. lost-reply: it happens and Unavailable is thrown. hang: nothing
 * happens until `release`. late: it happens after `release`. truncate: a get ends early without an error.
 */
export type FaultKind = 'fail' | 'lost-reply' | 'hang' | 'late' | 'truncate';

export interface Fault {
  kind: FaultKind;
  /** Which call of the session it hits, counted from 1 over all operations. */
  call: number;
  /** Ends a hang or a late answer. */
  release?: Promise<void>;
}

export interface FaultLog {
  calls: { operation: Operation; key: string }[];
}

/** A session whose n-th call goes wrong as told; the log says which calls there were, so a test can hit each in turn. */
export function withFault(inner: StoreSession, fault: Fault | undefined, log: FaultLog): StoreSession {
  let truncateNext = false;
  return wrapSession(inner, {
    around: async (operation, key, call) => {
      log.calls.push({ operation, key });
      if (fault === undefined || log.calls.length !== fault.call) return call();
      const broken = failure('Unavailable', `store ${operation} ${key} was made to fail`, { place: key });
      switch (fault.kind) {
        case 'fail':
          throw broken;
        case 'lost-reply':
          await call();
          throw broken;
        case 'hang':
          await fault.release;
          throw broken;
        case 'late': {
          await fault.release;
          return call();
        }
        case 'truncate':
          truncateNext = operation === 'get';
          return call();
      }
    },
    streamOut: (stream) => {
      if (!truncateNext) return stream;
      truncateNext = false;
      return pipeline(stream, halfOf(), () => undefined);
    },
  });
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
