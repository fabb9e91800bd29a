import type { NodeFacts, NodeState } from '../model/cluster.ts';
import type { Following, Promotion } from '../model/failover.ts';
import { stateOf } from '../model/failover-checks.ts';
import { hostQueue } from '../model/names.ts';
import { settling } from '../options.ts';
import type { Marked } from './behind-promotion.ts';
import { mark } from './behind-promotion.ts';
import { messageOf } from './conclude.ts';
import type { Switching } from './failing-over.ts';
import { aside } from './failing-over.ts';
import { taskOf } from './nodes.ts';

const FOLLOW_MS = 60_000;

/** What the node that was promoted has, and what others need to know to follow it. */
export interface Promoted {
  promotion: Promotion;
  /** Absent: it could not be written. */
  marked: Marked | undefined;
}

/** The standbys that stay standbys, of those that answered before anything was touched. */
export function othersOf({ cluster, from, to }: Switching, states: readonly NodeState[]): NodeFacts[] {
  return cluster.nodes.filter(
    ({ name }) => name !== from.name && name !== to.name && stateOf(states, name).role === 'standby',
  );
}

/** Lets them follow the node that was promoted, and proves it. The service works without them: what fails is the answer. */
export function followPromoted(use: Switching, others: readonly NodeFacts[], promoted: Promoted): Promise<Following[]> {
  return Promise.all(others.map((node) => followOne(use, node, promoted)));
}

async function followOne(use: Switching, node: NodeFacts, { promotion, marked }: Promoted): Promise<Following> {
  const { cluster, to, mover, journal } = use;
  const what = `let ${node.name} follow ${to.name}`;
  const task = taskOf(cluster, node);
  const { forkLsn, oldTimeline } = promotion;
  const expected = `a standby of ${to.name}`;
  const failed = (name: string, found: string): Following => ({
    ...{ node: node.name, ok: false },
    checks: [{ name, ok: false, expected, found }],
  });
  journal.note(what);
  return aside(use, what, async () => {
    const acts = settling({ summary: what, taskQueue: hostQueue(node.host) });
    try {
      const { ok, found } = await acts.repointNode({ ...task, ...mover, upstream: to.name, forkLsn, oldTimeline });
      if (!ok) return failed('can follow', found);
      // Without one nothing would prove it: it is tried once more.
      const known = marked ?? (await mark(use));
      return await acts.awaitFollowing({ ...task, ...known, withinMs: FOLLOW_MS });
    } catch (error) {
      return failed('follows', messageOf(error));
    }
  });
}
