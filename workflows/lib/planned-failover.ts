import type { Evidence } from '../model/approval.ts';
import type { ControlFacts, NodeFacts, NodeState } from '../model/cluster.ts';
import { describeNode } from '../model/cluster.ts';
import type { FailoverPreview, FailoverResult } from '../model/failover.ts';
import { primaryOf, switchoverChecks, switchoverWarnings, trafficChecks } from '../model/failover-checks.ts';
import { factsOfPlan, planOf } from '../model/failover-plan.ts';
import { failure } from '../model/failure.ts';
import type { Lsn } from '../model/lsn.ts';
import { lsnDistanceBytes } from '../model/lsn.ts';
import { hostQueue } from '../model/names.ts';
import type { Check } from '../model/recovery.ts';
import { quick } from '../options.ts';
import type { FailingOver, Switching } from './failing-over.ts';
import { beginOutage, endOutage, moverOf, refuseUnless, timed, within } from './failing-over.ts';
import { at, lookAtAll, nodeOf, taskOf } from './nodes.ts';
import { permitted } from './permission.ts';
import { raiseSite } from './failover-sites.ts';
import { serve } from './serve-promoted.ts';
import { nowMs } from './time.ts';
import { TrafficControl } from './traffic.ts';

/** A shutdown waits so long for a standby that was cut off, by default a minute (wal_sender_timeout). */
const STOP_MS = 120_000;
/** What was sent with the shutdown arrives at once, or not at all. */
const ARRIVE_MS = 10_000;
const FOLLOW_MS = 30_000;
const LATE =
  'it is taken back: see which step it was in the timeline, then start again or give limits.outage more time';

/** Both servers live: they change places, and nothing is lost, which is proven before anything is promoted. */
export async function plannedFailover(use: FailingOver): Promise<FailoverResult | FailoverPreview> {
  const { order, journal, cluster, to, said } = use;
  const first = await timed(use, 'look at every node', () => judge(use));
  const { from, checks } = first;
  said.checks = checks;
  const { traffic: switches, checks: names } = use.service;
  const plan = (said.plan = planOf({
    ...{ cluster, mode: 'planned' as const, from: from ?? to, to, traffic: switches, checks: names },
  }));
  if (order.dryRun) return { preview: true, plan, ok: checks.every(({ ok }) => ok), checks };
  refuseUnless(checks, cluster, hintOf(use, first));
  if (!from) throw failure('Bug', 'checks hold without a primary');
  for (const warning of first.warnings) journal.note(`note: ${warning}`);
  const traffic = (said.traffic = await TrafficControl.open(use, { to: to.site }));
  refuseUnless(
    trafficChecks(traffic.found, { from, switches: use.service.traffic }),
    cluster,
    'send the traffic there first, or correct the address of the node',
  );
  const rule = cluster.automatic.includes('planned') ? undefined : cluster.approvals.planned;
  const what = `switch ${order.service} over from ${from.name} to ${to.name}`;
  said.begun = true;
  const approvals = await permitted(use, { rule, what, weigh: () => weigh(use, from) });
  const switching = { ...use, from, traffic, mover: moverOf(traffic) };
  await raiseSite(switching);
  await prepare(switching);
  const startedMs = nowMs();
  const { control, received } = await takeDown(switching);
  return serve(switching, {
    ...{ mode: 'planned' as const, approvals, startedMs, states: first.states, rejoin: true },
    ...{ timeline: control.timeline, lsn: control.endLsn ?? '0/0', receivedLsn: received },
  });
}

interface Judged {
  states: NodeState[];
  from: NodeFacts | undefined;
  checks: Check[];
  warnings: string[];
}

async function judge({ cluster, to }: FailingOver): Promise<Judged> {
  const states = await lookAtAll(cluster);
  const primary = primaryOf(states);
  return {
    states,
    from: primary ? nodeOf(cluster, primary.node) : undefined,
    checks: switchoverChecks({ cluster, states, to: to.name }),
    warnings: switchoverWarnings(states),
  };
}

function hintOf({ order, to }: FailingOver, { states, from }: Judged): string {
  if (from?.name === to.name) return `${to.name} is the primary already: there is nothing to do`;
  const gone = states.find(({ answers }) => !answers);
  if (!gone) return 'mend that, then start it again';
  return `${describeNode(gone)}; is its primary gone? lifeboat failover ${order.service} --to ${order.to} --unplanned --dry-run`;
}

/** What those see who have to agree, read now; what is not good enough is not shown to anybody. */
async function weigh(use: FailingOver, from: NodeFacts): Promise<Evidence> {
  const { cluster, said, order } = use;
  const now = await judge(use);
  said.checks = now.checks;
  refuseUnless(now.checks, cluster, hintOf(use, now));
  if (now.from?.name !== from.name || !said.plan) {
    throw failure('Precondition', 'another node is the primary by now', {
      ...{ place: `services.${cluster.service}.cluster`, expected: from.name, found: now.from?.name ?? 'none' },
      hint: 'start it again',
    });
  }
  const notes = now.warnings.map((value) => ({ name: 'note', value }));
  const facts = [...factsOfPlan(said.plan, now.checks, order.by), ...notes];
  return quick({ summary: 'weigh the evidence' }).weighFacts({ source: cluster.source, facts });
}

/** While clients are served: that the candidate really is fed by this primary, and that its shutdown will be short. */
async function prepare(use: Switching): Promise<void> {
  const { cluster, from, to, mover } = use;
  const marker = `${mover.run}/before`;
  const proof = await timed(use, `write a marker on ${from.name} and read it on ${to.name}`, async () => {
    const there = quick({ summary: `write a marker on ${from.name}`, taskQueue: hostQueue(from.host) });
    const marked = await there.writeMarker({ ...taskOf(cluster, from), ...mover, marker });
    const acts = quick({ summary: `wait until ${to.name} has the marker`, taskQueue: hostQueue(to.host) });
    return acts.awaitFollowing({ ...taskOf(cluster, to), ...marked, withinMs: FOLLOW_MS });
  });
  refuseUnless(proof.checks, cluster, `mend the replication of ${to.name}, then start again`);
  const what = `checkpoint ${from.name}`;
  const acts = quick({ summary: what, taskQueue: hostQueue(from.host) });
  await timed(use, what, () => acts.checkpointNode(taskOf(cluster, from)));
}

/** Nobody is served from here on. Whatever fails, or takes too long, is taken back to the last step. */
function takeDown(use: Switching): Promise<{ control: ControlFacts; received: Lsn }> {
  const { cluster, from, to, traffic, mover, undo, said } = use;
  const task = { ...taskOf(cluster, from), ...mover };
  const what = `to take ${from.name} down`;
  return within({ limitMs: cluster.limits.outageMs, what, place: 'limits.outage', hint: LATE }, async () => {
    beginOutage(said);
    undo.push('send the traffic where it went', async () => {
      await traffic.putBack();
      endOutage(said);
    });
    await timed(use, 'stop the traffic', () => traffic.stop());
    undo.push(`let ${from.name} write`, () => at(from, `let ${from.name} write`).unquiesceNode(task));
    await timed(use, `quiesce ${from.name}`, async () => {
      const { ended, left } = await at(from, `quiesce ${from.name}`).quiesceNode(task);
      use.journal.note(`sessions ended: ${ended}; new ones that can only read: ${left}`);
    });
    const back = { ...task, withinMs: STOP_MS, start: true };
    undo.push(`start ${from.name} as the primary it was`, () =>
      at(from, `start ${from.name} as the primary it was`).reinstateNode(back),
    );
    const control = await timed(use, `stop ${from.name}`, () =>
      at(from, `stop ${from.name}`).demoteNode({ ...task, upstream: to.name, withinMs: STOP_MS }),
    );
    const received = await timed(use, `prove that ${to.name} has all of it`, () => proveWhole(use, control));
    return { control, received };
  });
}

/** By positions, never by how the shutdown ended: a standby that was cut off lacks its end, and the server says nothing. */
async function proveWhole({ cluster, from, to }: Switching, control: ControlFacts): Promise<Lsn> {
  const { state, endLsn, timeline } = control;
  if (state !== 'shut down' || endLsn === undefined) {
    throw failure('Precondition', `${from.name} was not shut down in good order`, {
      ...{ place: from.dataDir, expected: 'shut down, and its last record', found: state },
      hint: `see the log of ${from.name}; it is taken back`,
    });
  }
  const acts = at(to, `wait until ${to.name} has ${endLsn}`);
  const seen = await acts.awaitReceived({ ...taskOf(cluster, to), lsn: endLsn, withinMs: ARRIVE_MS });
  if (seen.ok && seen.timeline === timeline) return seen.lsn;
  const lacks = Math.max(0, lsnDistanceBytes(seen.lsn, endLsn));
  throw failure('Precondition', `${to.name} lacks ${lacks} bytes of what ${from.name} wrote`, {
    place: to.name,
    expected: `${endLsn} on timeline ${timeline}`,
    found: `${seen.lsn} on timeline ${seen.timeline}`,
    hint: 'nothing was promoted, and it is taken back: mend the replication, then start again',
  });
}
