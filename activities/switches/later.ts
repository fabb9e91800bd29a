import type { SwitchSession } from './switch.ts';

/** A session whose code is loaded when it is first used: a client of AWS costs a quarter of a second, and most runs need none. */
export function openLater(load: () => Promise<SwitchSession>): SwitchSession {
  let loading: Promise<SwitchSession> | undefined;
  const session = (): Promise<SwitchSession> => (loading ??= load());
  return {
    where: async () => (await session()).where(),
    move: async (order) => (await session()).move(order),
    confirm: async (to) => (await session()).confirm(to),
    check: async () => (await (await session()).check?.()) ?? [],
    [Symbol.asyncDispose]: async () => {
      const opened = await loading?.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    },
  };
}
