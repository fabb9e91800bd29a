import type { StoreSession } from '../store.ts';
import type { Operation } from './wrap.ts';
import { wrapSession } from './wrap.ts';

export interface Counts {
  calls: Record<Operation, number>;
  failed: Record<Operation, number>;
}

/** Counts calls and failures by operation into `counts`. */
export function withCount(inner: StoreSession, counts: Counts): StoreSession {
  return wrapSession(inner, {
    around: async (operation, _key, call) => {
      counts.calls[operation] += 1;
      try {
        return await call();
      } catch (error) {
        counts.failed[operation] += 1;
        throw error;
      }
    },
  });
}

export function emptyCounts(): Counts {
  const zero = (): Record<Operation, number> => ({ put: 0, get: 0, stat: 0, list: 0, remove: 0 });
  return { calls: zero(), failed: zero() };
}
