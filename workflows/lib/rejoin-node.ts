import { workflowInfo } from '@temporalio/workflow';
import type { Evidence, Fact } from '../model/approval.ts';
import type { NodeFacts, NodeState } from '../model/cluster.ts';
import { stateOf } from '../model/failover-checks.ts';
import { failure } from '../model/failure.ts';
import type { Lsn } from '../model/lsn.ts';
import type { Check } from '../model/recovery.ts';
import type { RejoinResult, Salvage } from '../model/rejoin.ts';
import { rejoinChecks } from '../model/rejoin-checks.ts';
import { hostQueue } from '../model/names.ts';
import { bulk, quick } from '../options.ts';
import { timed } from './failing-over.ts';
import type { Mover } from './failing-over.ts';
import { bringBack, follows } from './bring-back.ts';
import { compare } from './compare-nodes.ts';
import { at, lookAtAll, nodeOf, taskOf } from './nodes.ts';
import { permitted } from './permission.ts';
import type { Found, Rejoining, Returning } from './rejoining.ts';
import { salvageRows } from './rejoining.ts';

/** Time for one that follows already to show it. */
const SHORT_MS = 5_000;

/** The whole way back of one node, from being looked at to being proven; nothing is given up that nobody has agreed to. */
export async function rejoinNode(use: Rejoining): Promise<RejoinResult> {
  const { cluster, node, said } = use;
  const { primary, states } = await timed(use, 'look at every node', () => judge(use));
  const mover = await takeNumber(use, states);
  const going: Returning = { ...use, primary, mover };
  said.begun = true;
  if (stateOf(states, node.name).receiver?.status === 'streaming') {
    const what = `see whether ${node.name} follows already`;
    said.following = await timed(use, what, () => follows(going, { withinMs: SHORT_MS, mark: 'before' }));
    if (said.following.ok) return resultOf(going, { path: 'none' });
    said.why.push(`it streams, and does not follow: ${said.following.checks.find(({ ok }) => !ok)?.name}`);
  }
  use.undo.push(`leave ${node.name} down`, () => {
    use.journal.attention(`${node.name} is kept down: lifeboat rejoin ${cluster.service} ${node.name}`);
    return Promise.resolve();
  });
  await timed(use, `keep ${node.name} from serving`, () =>
    at(node, `keep ${node.name} from serving`).quarantineNode({ ...taskOf(cluster, node), ...mover }),
  );
  const found = await timed(use, `compare ${node.name} with ${primary.name}`, () => compare(going));
  said.choice = found.choice;
  said.why.push(found.choice.why);
  use.journal.note(`${found.choice.path}: ${found.choice.why}`);
  const { salvageFromLsn, untold } = found.choice;
  if (salvageFromLsn !== undefined || untold) await signOff(going, found);
  const path = await bringBack(going, found);
  use.undo.clear();
  return resultOf(going, { path, found });
}

/** One primary beside it, and a worker that sees its files. */
async function judge({ cluster, node }: Rejoining): Promise<{ primary: NodeFacts; states: NodeState[] }> {
  const states = await lookAtAll(cluster);
  const { primary, checks } = rejoinChecks(node, states);
  refuse(checks, { node, states });
  return { primary: nodeOf(cluster, primary?.node ?? ''), states };
}

function refuse(checks: readonly Check[], { node, states }: { node: NodeFacts; states: readonly NodeState[] }): void {
  const bad = checks.filter(({ ok }) => !ok);
  if (bad.length === 0) return;
  const isIt = stateOf(states, node.name).role === 'primary';
  throw failure(
    'Precondition',
    `${node.name} cannot be brought back: ${bad.map(({ name, found }) => `${name}: ${found}`).join('; ')}`,
    {
      place: node.name,
      expected: bad.map(({ name, expected }) => `${name}: ${expected}`).join('; '),
      found: bad.map(({ name, found }) => `${name}: ${found}`).join('; '),
      hint: isIt ? `${node.name} is a primary: name the one that was left` : 'mend that, then start it again',
    },
  );
}

async function takeNumber({ cluster }: Rejoining, states: readonly NodeState[]): Promise<Mover> {
  const atLeast = Math.max(...states.map(({ epoch }) => epoch)) + 1;
  const run = workflowInfo().runId;
  const acts = quick({ summary: `take a number, ${atLeast} or more` });
  const { epoch } = await acts.takeEpoch({ source: cluster.source, run, atLeast });
  return { epoch, run };
}

/** What only it has is kept before anybody is asked whether it may go, where there is anything that could be kept. */
async function signOff(use: Returning, found: Found): Promise<void> {
  const { cluster, node, primary, said } = use;
  const { choice } = found;
  const kept = choice.salvageFromLsn === undefined ? undefined : await keep(use, found, choice.salvageFromLsn);
  if (kept) said.salvage = kept;
  const rule = cluster.approvals.unplanned;
  const what = `give up what only ${node.name} has, and ${choice.path} it from ${primary.name}`;
  await permitted(use, { rule, what, weigh: () => weigh(use, { found, kept }) });
}

function keep(use: Returning, { old }: Found, fromLsn: Lsn): Promise<Salvage> {
  const { cluster, node, primary, mover } = use;
  return timed(use, `keep what only ${node.name} has`, () =>
    bulk({ summary: `keep what only ${node.name} has`, taskQueue: hostQueue(node.host) }).salvageNode({
      ...{ ...taskOf(cluster, node), ...mover, upstream: primary.name, fromLsn },
      ...{ systemId: old.systemId, segmentBytes: old.segmentBytes, timeline: old.timeline },
      ...{ ancestors: old.ancestors ?? [] },
      ...(old.endLsn === undefined ? {} : { endLsn: old.endLsn }),
    }),
  );
}

/** The files are looked at again: what was agreed to is what is given up. */
async function weigh(use: Returning, { found, kept }: { found: Found; kept: Salvage | undefined }): Promise<Evidence> {
  const { cluster, node, primary, order } = use;
  const { old, choice } = await compare(use);
  if (old.endLsn !== found.old.endLsn || old.timeline !== found.old.timeline || choice.path !== found.choice.path) {
    throw failure('Precondition', `${node.name} is not as it was when it was looked at`, {
      place: node.dataDir,
      expected: `${found.choice.path}: ${found.choice.why}`,
      found: `${choice.path}: ${choice.why}`,
      hint: 'somebody has started it, or the primary is another one: start again',
    });
  }
  const facts: Fact[] = [
    {
      name: 'service',
      value: `${cluster.service}: ${node.name} back as a standby of ${primary.name}, started by ${order.by}`,
    },
    ...givenUp(use, kept).map(([name, value]) => ({ name, value })),
    { name: 'way', value: `${choice.path}: ${choice.why}` },
    ...(choice.path === 'rewind' ? [{ name: 'if that does not do', value: `a new copy of ${primary.name}` }] : []),
  ];
  return quick({ summary: 'weigh the evidence' }).weighFacts({ source: cluster.source, facts });
}

function givenUp({ node }: Returning, kept: Salvage | undefined): [string, string][] {
  if (kept) return salvageRows(kept);
  return [
    ['GIVEN UP', `whatever only ${node.name} has: it has no WAL that would tell, so nobody knows how much that is`],
    ['kept in the vault', `nothing; copy ${node.dataDir} on its host before you agree, if it may be missed`],
  ];
}

function resultOf(use: Returning, { path, found }: { path: RejoinResult['path']; found?: Found }): RejoinResult {
  const { cluster, node, primary, mover, said } = use;
  const { salvage, evidence, following, why, steps } = said;
  if (!following) throw failure('Bug', 'nothing is proven');
  return {
    ...{ service: cluster.service, node: node.name, primary: primary.name, path, why, epoch: mover.epoch, following },
    ...(found?.choice.forkLsn === undefined ? {} : { forkLsn: found.choice.forkLsn }),
    ...(found?.old.endLsn === undefined ? {} : { endLsn: found.old.endLsn }),
    ...(salvage ? { salvage } : {}),
    ...(evidence ? { evidence } : {}),
    approvals: said.approvals ?? [],
    steps: steps.map(({ name, ms }) => ({ name, ms })),
  };
}
