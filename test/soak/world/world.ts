import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import type { Stack } from '../../../workers/dev/stack/index.ts';
import { startStack } from '../../../workers/dev/stack/index.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { makeOwned, withPostgres, withServerDir } from '../../support/postgres.ts';
import { Model } from '../model/model.ts';
import { Orders } from '../model/orders.ts';
import type { SoakOptions } from '../options.ts';
import { randomOf } from '../random.ts';
import { writeConfig } from './config.ts';
import { discardCopies } from './copies.ts';
import { Counts } from './counts.ts';
import { Reach } from './reach.ts';
import { Runs } from './runs.ts';
import { SETTINGS } from './server.ts';
import type { SoakStore } from './store.ts';
import { folderStore, s3Store } from './store.ts';
import { TEMPORAL_FILE, TemporalControl } from './temporal.ts';
import { WorkerControl } from './worker.ts';
import { Writer } from './writer.ts';

export interface Base {
  point: string;
  isFull: boolean;
  startLsn: string;
  /** Number of the first moment behind its end. */
  moment: number;
}

/** Everything that actions act on. */
export interface World {
  readonly options: SoakOptions;
  readonly signal: AbortSignal;
  readonly stack: Stack;
  readonly server: TestPostgres;
  readonly store: SoakStore;
  readonly worker: WorkerControl;
  readonly temporal: TemporalControl;
  readonly runs: Runs;
  readonly orders: Orders;
  readonly writer: Writer;
  /** What must be true; only of what was acknowledged. */
  readonly model: Model;
  /** Which of its moments can be restored. */
  readonly reach: Reach;
  readonly counts: Counts;
  /** Published points that nobody removed, oldest first. */
  readonly points: string[];
  /** The same of all that was ever published, with what rests on them. */
  readonly bases: Base[];
  /** Folder of restores; nothing stays in it. */
  readonly scratch: string;
  readonly config: string;
}

/** Stream of draws that are made once, before the first action. */
const SETUP = 0;

/** A new world, gone afterwards, process by process. */
export async function withWorld<T>(
  options: SoakOptions,
  signal: AbortSignal,
  callback: (world: World) => Promise<T>,
): Promise<T> {
  const { postgres: version } = options;
  const settings = { ...SETTINGS, ...(version >= 17 ? { summarize_wal: 'on' } : {}) };
  return withServerDir((dir) =>
    withPostgres({ version, settings }, async (server) => {
      await using stack = await startStack({
        ...{ ports: 'free', postgres: false, temporal: { dbFile: TEMPORAL_FILE }, log: () => undefined, signal },
      });
      await chmod(stack.dir, 0o755);
      await using store = await (options.store === 's3' ? s3Store(stack.dir) : folderStore(stack.dir));
      const scratch = join(dir, 'restores');
      await makeOwned(scratch);
      const read = randomOf(options.seed, SETUP).pick(['local', 'stream'] as const);
      const config = await writeConfig({ stack, server, store, scratch, read });
      await using orders = await Orders.start(server);
      const { address, namespace } = stack.temporal;
      const connection = await Connection.connect({ address });
      const model = new Model();
      const world: World = {
        ...{ options, signal, stack, server, store, orders, model, scratch, config, points: [], bases: [] },
        worker: new WorkerControl({ stack, store, config, signal }),
        temporal: new TemporalControl(stack, signal),
        runs: new Runs(new Client({ connection, namespace }), signal),
        writer: new Writer(server, model, orders),
        reach: new Reach(model),
        counts: new Counts(),
      };
      try {
        await world.worker.start();
        return await callback(world);
      } finally {
        // Recovered servers outlive the worker that made them.
        await world.worker.kill();
        await discardCopies(world).catch(() => undefined);
      }
    }),
  );
}
