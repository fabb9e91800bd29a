import type { NodeFacts, NodeState, WalTail } from '../model/cluster.ts';
import { stateOf } from '../model/failover-checks.ts';
import type { RejoinPreview } from '../model/rejoin.ts';
import { rejoinChecks } from '../model/rejoin-checks.ts';
import type { RejoinQuestion } from '../model/rejoin-plan.ts';
import { rejoinSteps } from '../model/rejoin-plan.ts';
import { compare } from './compare-nodes.ts';
import { lookAt, lookAtAll, nodeOf } from './nodes.ts';
import type { Found, Rejoining } from './rejoining.ts';

type Looking = Pick<Rejoining, 'cluster' | 'node' | 'journal'>;

/** What a rejoin would do now, by which way, and why. Nothing is touched: what runs goes on, no number is taken, no marker written. */
export async function previewRejoin(use: Looking): Promise<RejoinPreview> {
  const { cluster, node, journal } = use;
  journal.step('look at every node');
  const states = await lookAtAll(cluster);
  const { primary: seen, checks } = rejoinChecks(node, states);
  const ok = checks.every((check) => check.ok);
  const shared = { preview: true as const, service: cluster.service, node: node.name, checks };
  if (!ok || !seen) return { ...shared, ok: false, primary: seen?.node ?? 'none', why: [], steps: [] };
  const primary = nodeOf(cluster, seen.node);
  const own = stateOf(states, node.name);
  const steps = { cluster, node, primary };
  if (isStreaming(own, seen)) {
    const why = [`it streams from ${primary.name} on timeline ${seen.timeline}; a marker, which a dry run does not write, proves it`]; // prettier-ignore
    const path = 'none' as const;
    return { ...shared, ok, primary: primary.name, path, why, steps: rejoinSteps({ ...steps, path }) };
  }
  journal.step(`compare ${node.name} with ${primary.name}`);
  const found = await compare({ cluster, node, primary }, { live: true });
  const { path, why } = found.choice;
  const tail = await tailOf(use, { own, found });
  return {
    ...{ ...shared, ok, primary: primary.name, path, why: [...conditions(own, node), why], ...factsOf(found) },
    ...(tail ? { givesUp: tail } : {}),
    steps: rejoinSteps({ ...steps, path, ...givesUpOf(found) }),
  };
}

function factsOf({ old, choice }: Found): Partial<RejoinPreview> {
  const { forkLsn, salvageFromLsn: givesUpFromLsn, untold } = choice;
  const known = Object.entries({ forkLsn, givesUpFromLsn, untold, endLsn: old.endLsn });
  return Object.fromEntries(known.filter(([, value]) => value !== undefined));
}

function givesUpOf({ choice: { salvageFromLsn, untold } }: Found): Pick<RejoinQuestion, 'givesUp'> {
  if (salvageFromLsn !== undefined) return { givesUp: 'known' };
  return untold ? { givesUp: 'untold' } : {};
}

function isStreaming({ receiver }: NodeState, { timeline }: NodeState): boolean {
  return receiver?.status === 'streaming' && receiver.timeline === timeline;
}

/** What makes the answer one of the moment. */
function conditions({ running, role }: NodeState, { name }: NodeFacts): string[] {
  if (running !== true) return [];
  return [`a server runs on ${name}${role === undefined ? '' : ` (${role})`}, and would be ended first: what it writes until then comes on top`]; // prettier-ignore
}

/** How much only it has; absent where its WAL cannot tell, or grows. */
async function tailOf(
  { cluster, node }: Looking,
  { own, found }: { own: NodeState; found: Found },
): Promise<WalTail | undefined> {
  const { old, choice } = found;
  if (own.running === true || choice.salvageFromLsn === undefined) return undefined;
  const tail = { timeline: old.timeline, fromLsn: choice.salvageFromLsn };
  return (await lookAt(cluster, node, { tail })).tail;
}
