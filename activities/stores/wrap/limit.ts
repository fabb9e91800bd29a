import { orAborted } from '../../io/or-aborted.ts';
import type { Run } from '../../io/run.ts';
import type { StoreSession } from '../store.ts';
import { wrapSession } from './wrap.ts';

/** At most `parallel` calls at once; the others wait their turn in order. A stream that was handed out holds no place. */
export function withLimit(inner: StoreSession, run: Run, parallel: number): StoreSession {
  let free = parallel;
  const waiting: (() => void)[] = [];
  const enter = async (): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return;
    }
    let turn = (): void => {};
    const called = new Promise<void>((resolve) => (turn = resolve));
    waiting.push(turn);
    try {
      await orAborted(run.signal, () => called);
    } catch (error) {
      const at = waiting.indexOf(turn);
      if (at >= 0) waiting.splice(at, 1);
      else leave();
      throw error;
    }
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
