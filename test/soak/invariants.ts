import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { compareLsn, lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import { slotName, workflowId } from '../../workflows/model/names.ts';
import { copiesIn } from './world/copies.ts';
import { processesNaming } from './world/processes.ts';
import { SOURCE } from './world/runs.ts';
import { until } from './world/until.ts';
import type { World } from './world/world.ts';

/** What a slot may hold back when the vault has everything: the segments that are being written. */
const MOST_RETAINED_BYTES = 4 * 16 * 2 ** 20;
/** A slot that holds nothing back leaves the server what it recycles; several times max_wal_size is somebody's fault. */
const MOST_WAL_BYTES = 512 * 2 ** 20;

/** What must be true between two actions, whatever they were. Throws what is not. */
export async function checkInvariants(world: World): Promise<void> {
  await nothingLeft(world);
  if (!world.reach.hasBase) return;
  await streams(world);
  await walArrives(world);
  await serverIsFree(world);
}

/** No copy, no process of one, no half-written point. */
async function nothingLeft(world: World): Promise<void> {
  const copies = await copiesIn(world);
  if (copies.length > 0) throw new Error(`left below ${world.scratch}: ${copies.join(', ')}`);
  await until(
    () => `processes on ${world.scratch} to end`,
    world,
    async () => ((await processesNaming(join(world.scratch, '/'))).length === 0 ? true : undefined),
  );
  const unfinished = unfinishedPoints(await world.store.keys());
  if (unfinished.length > 0) throw new Error(`points that no run finishes any more: ${unfinished.join(', ')}`);
}

/** Folders of points with parts or a draft in them, and no manifest. */
export function unfinishedPoints(keys: readonly string[]): string[] {
  const points = new Map<string, Set<string>>();
  for (const key of keys) {
    const [, kind, point = '', name = ''] = key.split('/');
    if (kind === 'points') points.set(point, (points.get(point) ?? new Set()).add(name));
  }
  return [...points].flatMap(([point, names]) => (names.has('manifest') && !names.has('draft') ? [] : [point]));
}

async function streams({ runs }: World): Promise<void> {
  const id = workflowId.wal(SOURCE);
  const status = await runs.statusOf(id);
  if (status !== 'RUNNING') throw new Error(`the stream ${id} is ${status ?? 'not there'}; it never ends by itself`);
}

/** All that was flushed gets into the vault, in one piece but for what somebody took away. */
async function walArrives(world: World): Promise<void> {
  const { server, runs, reach } = world;
  const [row] = await server.sql('select pg_current_wal_flush_lsn()::text as lsn');
  const flushed = String(row?.['lsn']);
  let seen = '';
  await until(
    () => `WAL up to ${flushed} to be in the vault without a hole that nobody explains: ${seen}`,
    world,
    async () => {
      const wal = await runs.wal();
      // While pieces are put together a look may see neither: what counts is a hole that stays.
      const holes = wal.gaps.filter((gap) => !reach.explains(gap));
      seen = JSON.stringify({ ranges: wal.ranges, gaps: wal.gaps, server: wal.server, unreachable: wal.unreachable });
      const last = wal.ranges.at(-1);
      return holes.length === 0 && last && compareLsn(last.endLsn, flushed) >= 0 ? true : undefined;
    },
  );
}

/** One slot, ours, that holds back no more than it has to. */
async function serverIsFree(world: World): Promise<void> {
  const { server } = world;
  let seen = '';
  await until(
    () => `the server to be rid of what it kept for us: ${seen}`,
    world,
    async () => {
      const slots = await server.sql(
        `select slot_name as name, restart_lsn::text as restart, pg_current_wal_flush_lsn()::text as flushed
           from pg_replication_slots`,
      );
      const [wal] = await server.sql('select sum(size)::text as bytes from pg_ls_waldir()');
      seen = JSON.stringify({ slots, wal });
      const [slot] = slots;
      const isOurs = slots.length === 1 && slot?.['name'] === slotName(SOURCE);
      const retained = lsnDistanceBytes(String(slot?.['restart'] ?? '0/0'), String(slot?.['flushed'] ?? '0/0'));
      return isOurs && retained <= MOST_RETAINED_BYTES && Number(wal?.['bytes']) <= MOST_WAL_BYTES ? true : undefined;
    },
  );
}

/** What must be true when the worker has ended well: nothing half written that no kill explains. */
export async function checkEnd(world: World): Promise<void> {
  const { store, worker, server, config } = world;
  await worker.drain();
  const workers = await processesNaming(config);
  if (workers.length > 0) throw new Error(`processes that outlive the worker: ${JSON.stringify(workers)}`);
  const [senders] = await server.sql('select count(*)::int as n from pg_stat_replication');
  if (senders?.['n'] !== 0) throw new Error(`walsenders without a worker: ${String(senders?.['n'])}`);
  const { kind, path } = store.config;
  if (kind !== 'filesystem') return;
  for (const key of (await store.keys()).filter((each) => each.startsWith('.staging/'))) {
    const { mtimeMs } = await stat(join(String(path), key));
    if (mtimeMs > worker.killedAtMs) throw new Error(`half-written file ${key} that no killed worker left`);
  }
}
