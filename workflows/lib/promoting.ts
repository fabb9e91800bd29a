import type { ClusterFacts, NodeFacts } from '../model/cluster.ts';
import type { Promotion } from '../model/failover.ts';
import type { Lsn } from '../model/lsn.ts';
import type { Mover, Stepping } from './failing-over.ts';
import { timed } from './failing-over.ts';
import { at, taskOf } from './nodes.ts';
import { whenLonger } from './patience.ts';

const PATIENCE_MS = 60_000;

/** A node that becomes the primary: the one of a failover, or the clone of a drill, which goes the same way. */
export interface Promoting extends Stepping {
  cluster: ClusterFacts;
  to: NodeFacts;
  mover: Mover;
}

export interface PromoteWish {
  /** Timeline that it is on, and what it has to have received. */
  timeline: number;
  lsn: Lsn;
  /** Nodes that will follow it. */
  followers: string[];
  /** No standby follows it by itself. */
  alone: boolean;
}

/** Looked at for as long as it takes; `then` is done once when that is long. */
export function promoteCandidate(use: Promoting, wish: PromoteWish, then: () => void): Promise<Promotion> {
  const { cluster, to, mover } = use;
  const what = `promote ${to.name}`;
  const order = { ...taskOf(cluster, to), ...mover, ...wish };
  const patience = { afterMs: PATIENCE_MS, summary: `patience: ${what}`, then };
  return timed(use, what, () => whenLonger(() => at(to, what).promoteNode(order), patience));
}
