import { CancellationScope } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.ts';
import type { ClusterFacts, NodeFacts, NodeState } from '../model/cluster.ts';
import { failure } from '../model/failure.ts';
import type { Lsn } from '../model/lsn.ts';
import { hostQueue } from '../model/names.ts';
import { looking, moving } from '../options.ts';
import { messageOf } from './conclude.ts';
import { isoNow } from './time.ts';

/** What names one node to an activity. */
export interface NodeName {
  source: string;
  service: string;
  node: string;
}

export function taskOf({ source, service }: ClusterFacts, { name }: NodeFacts): NodeName {
  return { source, service, node: name };
}

/** Acts at a node, by the worker of its host: as long as it takes, for each looks first. */
export function at({ host }: NodeFacts, summary: string): Activities {
  return moving({ summary, taskQueue: hostQueue(host) });
}

/** Every node as its own worker sees it, at the same time. One whose worker does not answer, or cannot look, does not answer itself. */
export function lookAtAll(cluster: ClusterFacts): Promise<NodeState[]> {
  return Promise.all(
    cluster.nodes.map((node) => {
      const peers = cluster.nodes.filter(({ name }) => name !== node.name).map(({ name }) => name);
      return lookAt(cluster, node, { peers });
    }),
  );
}

export interface LookFrom {
  /** Host that looks from outside; any: whichever worker comes first. Absent: its own. */
  from?: string | 'any';
  peers?: string[];
  tail?: { timeline: number; fromLsn: Lsn };
}

export async function lookAt(cluster: ClusterFacts, node: NodeFacts, wish: LookFrom = {}): Promise<NodeState> {
  const { from = node.host, peers, tail } = wish;
  const queue = from === 'any' ? {} : { taskQueue: hostQueue(from) };
  const seen = from === node.host ? 'its own host' : from === 'any' ? 'any host' : from;
  const acts = looking({ summary: `look at ${node.name} from ${seen}`, ...queue }, cluster.limits.lookMs);
  const remote = from === node.host ? {} : { remote: true };
  try {
    const more = { ...(peers ? { peers } : {}), ...(tail ? { tail } : {}) };
    return await acts.observeNode({ ...taskOf(cluster, node), ...remote, ...more });
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    // Neither a sign of life nor of death: what it means is decided by whoever counts the looks.
    const trouble = { kind: 'other' as const, found: messageOf(error) };
    return { node: node.name, seenAt: isoNow(), by: from, unseen: true, answers: false, epoch: 0, trouble };
  }
}

export function nodeOf({ service, nodes }: ClusterFacts, name: string): NodeFacts {
  const found = nodes.find((node) => node.name === name);
  if (!found) throw failure('Bug', `service ${service} has no node ${name}`);
  return found;
}
