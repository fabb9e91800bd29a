import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../random.ts';
import { ENDINGS, restartServer } from '../world/server.ts';
import type { StoreTrouble } from '../world/store.ts';
import { troubled } from '../world/store.ts';
import type { World } from '../world/world.ts';
import type { Action } from './action.ts';

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

/** As if somebody had set the worker's clock: from its next start on. */
const clockStepped = fault('clock stepped', 2, async ({ store, worker }, random) => {
  const offsetMs = random.pick([-3_600_000, -30_000, 0, 45_000, 7_200_000]);
  await store.setClockOffset(offsetMs);
  await worker.drain();
  await worker.start();
  return `${offsetMs} ms`;
});

export const FAULTS: readonly Action[] = [
  ...[workerKilled, workerDrained, serverRestarted, temporalKilled, storeTroubled, streamCut, clockStepped],
];
