import type { NodeFacts, NodeState } from './cluster.ts';
import { describeNode } from './cluster.ts';
import { stateOf } from './failover-checks.ts';
import type { Check } from './recovery.ts';

/** Whether a node can be brought back: one primary beside it, and a worker that sees its files. */
export function rejoinChecks(
  node: NodeFacts,
  states: readonly NodeState[],
): { primary: NodeState | undefined; checks: Check[] } {
  const primaries = states.filter((state) => state.role === 'primary' && state.node !== node.name);
  const [primary] = primaries;
  const own = stateOf(states, node.name);
  const newer = primary !== undefined && isNewer(own, primary);
  const checks: Check[] = [
    {
      name: 'one primary beside it',
      ok: primaries.length === 1,
      expected: 'another node that writes, and it answers',
      found: states.map(describeNode).join('; '),
    },
    {
      name: `${node.name} is the older one`,
      ok: !newer,
      expected: 'no number and no timeline above those of the other primary',
      found: newer ? `epoch ${own.epoch}, timeline ${timelineOf(own)}` : 'it is',
    },
    {
      name: `worker of ${node.name}`,
      ok: own.running !== undefined,
      expected: `an answer of the worker on host ${node.host}`,
      found: own.running === undefined ? (own.trouble?.found ?? 'none') : 'it answers',
    },
  ];
  return { primary, checks };
}

/** A server that is down, too: its timeline says that it was promoted later. Its number may be that of a rejoin that failed. */
function isNewer(one: NodeState, other: NodeState): boolean {
  if ((timelineOf(one) ?? 0) > (timelineOf(other) ?? 0)) return true;
  return one.role === 'primary' && one.epoch > other.epoch;
}

function timelineOf({ timeline, control }: NodeState): number | undefined {
  return timeline ?? control?.timeline;
}
