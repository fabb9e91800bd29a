import type { Activities } from '../../activities/index.ts';
import type { NodeFacts } from '../model/cluster.ts';
import { hostQueue } from '../model/names.ts';
import { chooseRejoin } from '../model/rejoin-choice.ts';
import { locating } from '../options.ts';
import { at, taskOf } from './nodes.ts';
import type { Found, Returning } from './rejoining.ts';

/**
 * How a node ended, where the primary is, and the way back that follows from both. Nothing is changed. live: the node may run
 * meanwhile, and somebody waits for the answer; else it has to be down.
 */
export async function compare(
  { cluster, node, primary }: Pick<Returning, 'cluster' | 'node' | 'primary'>,
  { live }: { live?: true } = {},
): Promise<Found> {
  const on = (each: NodeFacts, summary: string): Activities =>
    live ? locating({ summary, taskQueue: hostQueue(each.host) }) : at(each, summary);
  const trace = on(primary, `where ${primary.name} is, and how it came there`);
  const first = await trace.traceWal(taskOf(cluster, primary));
  const task = { ...taskOf(cluster, node), now: first, ...(live ? { live } : {}) };
  const old = await on(node, `how ${node.name} ended`).examineNode(task);
  if (!old.digests) return { old, now: first, choice: chooseRejoin(old, first) };
  const { fromLsn, toLsn } = old.digests;
  const now = await trace.traceWal({ ...taskOf(cluster, primary), range: { fromLsn, toLsn } });
  return { old, now, choice: chooseRejoin(old, now) };
}
