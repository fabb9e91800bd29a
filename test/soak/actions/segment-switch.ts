import type { Action } from './action.ts';

/** Segments that end early, with and without a checkpoint behind them. */
export const segmentSwitch: Action = {
  name: 'segment switch',
  weight: 3,
  may: () => true,
  run: async ({ server }, random) => {
    const switches = random.between(1, 3);
    for (let at = 0; at < switches; at++) {
      await server.sql(`select pg_logical_emit_message(true, 'soak', 'switch')`);
      await server.sql('select pg_switch_wal()');
    }
    const isCheckpointed = random.chance(50);
    if (isCheckpointed) await server.sql('checkpoint');
    return `${switches}${isCheckpointed ? ' and a checkpoint' : ''}`;
  },
};
