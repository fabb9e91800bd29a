import type { StoreSession } from '../store.ts';
import { wrapSession } from './wrap.ts';

/** At most `parallel` calls at once; the others wait their turn in order. */
export function withLimit(inner: StoreSession, parallel: number): StoreSession {
  let free = parallel;
  const waiting: (() => void)[] = [];
  const enter = async (): Promise<void> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
  return wrapSession(inner, {
    around: async (_operation, _key, call) => {
      await enter();
      try {
        return await call();
      } finally {
        leave();
      }
    },
  });
}
