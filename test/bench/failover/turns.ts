import { setTimeout as sleep } from 'node:timers/promises';
import { workflowId } from '../../../workflows/model/names.ts';
import type { Load } from '../../../workers/dev/demo/pair/load.ts';
import type { ClusterServer } from '../../../workers/dev/demo/pair/server.ts';
import type { PairWorld } from '../../../workers/dev/demo/pair/world.ts';
import { SERVICE } from '../../../workers/dev/demo/pair/world.ts';
import type { WriteProbe } from '../../../workers/dev/demo/pair/write-probe.ts';
import type { PhaseMs } from './phases.ts';

/** What was measured of one change of primaries, by the clients' own log. */
export interface Turn {
  outageMs: number;
  /** Of a run of Lifeboat. */
  phases?: PhaseMs;
  /** Of the bare steps, by name. */
  steps?: Record<string, number>;
  /** Acknowledged orders that are gone. */
  lost: number;
  /** Transactions that were quoted before, at most. */
  quoted?: number;
  /** The standby had to acknowledge every commit. */
  synchronous?: true;
}

/** The two servers, whichever is what by now. */
export interface Field {
  world: PairWorld;
  load: Load;
  probe: WriteProbe;
  primary: ClusterServer;
  standby: ClusterServer;
  /** Orders that are known to be lost. */
  gone: Set<number>;
  signal: AbortSignal;
}

const LOOK_MS = 50;
/** Of load, before anything is measured. */
const LOAD_MS = 1_000;
/** So many say at what pace the primary writes. */
const SAMPLES = 3;

/** Everything is as it should be: served, streamed, watched, and where a loss will be quoted written down away from the primary. */
export async function settled(field: Field, quotes: boolean): Promise<void> {
  const { world, load, primary, signal } = field;
  await load.served(primary, signal);
  await until(field, async () => {
    const rows = await primary.sql(`select from pg_stat_replication where state = 'streaming'`);
    return rows.length === 1;
  });
  await until(field, async () => {
    const { json } = await world.lifeboat.ask('status', workflowId.watch(SERVICE));
    const { step = '' } = (json['progress'] ?? {}) as { step?: string };
    // Which of them it names is older than a change that it has not seen begin.
    return / serves$|^watch /.test(step);
  });
  const beats = new Set<string>();
  await until(field, async () => {
    const rows = await primary.sql<{ at: string }>(
      `select at::text as at from lifeboat.heartbeat where writer = 'sampler'`,
    );
    for (const { at } of rows) beats.add(at);
    return !quotes || beats.size > SAMPLES;
  });
  await sleep(LOAD_MS, undefined, { signal });
}

/** They have changed places: what is gone by that, and how long nobody was served. */
export async function changed(field: Field, fromMs: number): Promise<Pick<Turn, 'outageMs' | 'lost'>> {
  [field.primary, field.standby] = [field.standby, field.primary];
  const { load, primary, gone, signal } = field;
  await load.served(primary, signal);
  const { fromMs: beganMs, toMs } = load.longestGap(fromMs, Date.now());
  const missing = await load.missingIn(primary, gone);
  for (const { id } of missing) gone.add(id);
  return { outageMs: toMs - beganMs, lost: missing.length };
}

export async function until({ signal }: Field, look: () => Promise<boolean>): Promise<void> {
  while (!(await look().catch(() => false))) await sleep(LOOK_MS, undefined, { signal });
  signal.throwIfAborted();
}
