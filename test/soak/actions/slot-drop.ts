import { compareLsn } from '../../../workflows/model/lsn.ts';
import { slotName } from '../../../workflows/model/names.ts';
import { SOURCE } from '../world/runs.ts';
import { until } from '../world/until.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { takeBackup } from './backup.ts';
import { freeTables } from './tables.ts';
import { drawPattern } from './tables.ts';

const LOST_SEGMENTS = 8;

/** Somebody drops our slot: the stream comes back by itself, and where WAL is lost, a new base closes the hole. */
export const slotDrop: Action = {
  name: 'slot dropped',
  weight: 2,
  may: ({ reach }) => reach.hasBase,
  run: async (world, random) => {
    const isLossy = random.chance(50);
    const from = world.model.moments.length;
    const fromLsn = (await world.runs.wal()).ranges.at(-1)?.endLsn ?? '0/0';
    if (isLossy) await world.worker.kill();
    await dropSlot(world);
    for (const { database, table } of freeTables(world.model.now).slice(0, 2))
      await world.writer.write({ database, changes: [{ kind: 'update', database, table, ...drawPattern(random) }] });
    if (isLossy) {
      await loseSegments(world);
      await world.worker.start();
    }
    await slotIsBack(world);
    const { point, what } = await takeBackup(world, random, random.pick(['full', 'incremental']));
    const gaps = (await world.runs.wal()).gaps.filter((gap) => compareLsn(gap.fromLsn, fromLsn) >= 0);
    const isMissing = gaps.length > 0;
    if (isMissing) world.counts.fault('WAL lost');
    world.reach.lost(from, { fromLsn, toLsn: point.startLsn });
    return `${isLossy ? 'and WAL removed' : 'while streaming'}, ${isMissing ? 'a hole' : 'no hole'}; then ${what}`;
  },
};

async function dropSlot({ server, signal }: World): Promise<void> {
  const slot = slotName(SOURCE);
  await until(
    () => `slot ${slot} to be dropped`,
    { signal },
    async () => {
      await server.sql('select pg_terminate_backend(pid) from pg_stat_replication');
      // Between the two the stream may be back.
      await server
        .sql(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${slot}'`)
        .catch(() => undefined);
      const [row] = await server.sql(`select from pg_replication_slots where slot_name = '${slot}' and not active`);
      const [any] = await server.sql(`select from pg_replication_slots where slot_name = '${slot}'`);
      return row === undefined && any === undefined ? true : undefined;
    },
  );
}

async function loseSegments({ server }: World): Promise<void> {
  for (let at = 0; at < LOST_SEGMENTS; at++) {
    await server.sql(`select pg_logical_emit_message(true, 'soak', repeat('x', 100000))`);
    await server.sql('select pg_switch_wal()');
    await server.sql('checkpoint');
  }
}

async function slotIsBack({ server, signal }: World): Promise<void> {
  const slot = slotName(SOURCE);
  await until(
    () => `slot ${slot} to be made again and streamed from`,
    { signal },
    async () =>
      (await server.sql(`select from pg_replication_slots where slot_name = '${slot}' and active`)).length > 0
        ? true
        : undefined,
  );
}
