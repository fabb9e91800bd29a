import type { NodeState } from './cluster.ts';

/** A primary that a failover has left, and that is back. */
export interface StalePrimary {
  node: string;
  /** Of the failover that left it, which its successor has. */
  epoch: number;
  why: string;
}

/**
 * Which of two primaries is the one that a failover has left: only its successor has the number of that run, and the timeline that it
 * began. Undefined where either says something else, or was not looked at by its own worker: then a person has to decide.
 */
export function stalePrimary(states: readonly NodeState[]): StalePrimary | undefined {
  const serving = states.filter(({ answers, role }) => answers && role === 'primary');
  const [one, other, ...more] = serving;
  if (!one || !other || more.length > 0) return undefined;
  const [old, successor] = one.epoch < other.epoch ? [one, other] : [other, one];
  if (!isSuccessor(successor, old)) return undefined;
  const stands = ({ node, timeline, epoch }: NodeState): string =>
    `${node} is on timeline ${timeline} with epoch ${epoch}`;
  return { node: old.node, epoch: successor.epoch, why: `${stands(old)}, ${stands(successor)}` };
}

/** Both are looked at where they run, are of one cluster, and the successor has what only a failover gives it. */
function isSuccessor(successor: NodeState, old: NodeState): boolean {
  const areOwnLooks = successor.running === true && old.running === true;
  const isOneCluster = old.systemId !== undefined && old.systemId === successor.systemId;
  const [from = 0, to = 0] = [old.timeline, successor.timeline];
  return areOwnLooks && isOneCluster && old.epoch < successor.epoch && from > 0 && from < to;
}
