import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../random.ts';
import { ENDINGS, restartServer } from '../world/server.ts';
import type { StoreTrouble } from '../world/store.ts';
import { troubled } from '../world/store.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';
import { arrived } from './target.ts';

const TROUBLES: readonly StoreTrouble[] = ['fail', 'lost-reply', 'hang', 'slow'];

type Strike = (world: World, random: Random) => Promise<string>;

/** A fault is over when its action is. It may also strike in the middle of another action. */
function fault(name: string, weight: number, strike: Strike): Action {
  return {
    ...{ name, weight },
    may: ({ reach }) => reach.hasBase,
    run: (world, random) => {
      world.counts.fault(name);
      return strike(world, random);
    },
  };
}

const workerKilled = fault('worker killed', 4, async ({ worker, signal }, random) => {
  const awayMs = random.pick([0, 0, 2000, 12_000]);
  await worker.kill();
  await sleep(awayMs, undefined, { signal });
  await worker.start();
  return `away ${awayMs} ms`;
});

const workerDrained = fault('worker drained', 2, async ({ worker }) => {
  const startMs = performance.now();
  await worker.drain();
  const tookMs = performance.now() - startMs;
  await worker.start();
  return `SIGTERM, ended after ${(tookMs / 1000).toFixed(1)} s`;
});

const serverRestarted = fault('server restarted', 4, async ({ server, signal }, random) => {
  const ending = random.pick(ENDINGS);
  await restartServer(server, ending, signal);
  return ending;
});

const temporalKilled = fault('temporal killed', 2, async ({ temporal }) => {
  await temporal.restart();
  return 'restarted';
});

const storeTroubled = fault('store troubled', 6, async ({ store, counts, signal }, random) => {
  const trouble = random.pick(TROUBLES);
  const forMs = random.pick([500, 3000, 8000]);
  counts.storeCallsHit += await troubled(store, { trouble, forMs, signal });
  return `${trouble} for ${forMs} ms`;
});

const streamCut = fault('stream cut', 3, async ({ server }, random) => {
  const times = random.between(1, 4);
  for (let at = 0; at < times; at++) await server.sql('select pg_terminate_backend(pid) from pg_stat_replication');
  return `${times} times`;
});

/** An S3 server refuses who is a quarter of an hour away. */
const OFFSETS_MS = { folder: [-3_600_000, -30_000, 45_000, 7_200_000], s3: [-600_000, -30_000, 45_000, 600_000] };

/** A worker works on with its clock set wrong, until another has the right time: a backup is refused meanwhile, as it should be. */
const clockStepped = fault('clock stepped', 2, async (world, random) => {
  const { store, worker, server, options } = world;
  const offsetMs = random.pick(OFFSETS_MS[options.store]);
  const startWith = async (clockOffsetMs: number): Promise<void> => {
    await worker.drain();
    await store.setClockOffset(clockOffsetMs);
    await worker.start();
  };
  await startWith(offsetMs);
  const [row] = await server.sql('select pg_current_wal_insert_lsn()::text as lsn');
  await arrived(world, { lsn: String(row?.['lsn']) });
  await startWith(0);
  return `${offsetMs} ms and back`;
});

export const FAULTS: readonly Action[] = [
  ...[workerKilled, workerDrained, serverRestarted, temporalKilled, storeTroubled, streamCut, clockStepped],
];
