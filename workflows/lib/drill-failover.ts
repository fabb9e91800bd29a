import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { NodeFacts, NodeState } from '../model/cluster.ts';
import { candidateOf, cloneName, describeNode, nodeAddress } from '../model/cluster.ts';
import type { CloneMade, CloneStarted, FailoverDrillMeasurement, FailoverDrillPhases, FailoverDrillResult } from '../model/failover-drill.ts'; // prettier-ignore
import { primaryOf } from '../model/failover-checks.ts';
import { planOf } from '../model/failover-plan.ts';
import { failure } from '../model/failure.ts';
import { compareLsn } from '../model/lsn.ts';
import { hostQueue } from '../model/names.ts';
import type { Check } from '../model/recovery.ts';
import { formatDuration } from '../model/units.ts';
import { foreign, search, settling } from '../options.ts';
import { mark } from './behind-promotion.ts';
import type { Mover } from './failing-over.ts';
import { timed, within } from './failing-over.ts';
import type { Drilling } from './failover-drilling.ts';
import { drillTold, untouchedChecks } from './failover-drilling.ts';
import { at, lookAt, lookAtAll, nodeOf, taskOf } from './nodes.ts';
import { promoteCandidate } from './promoting.ts';
import { plannedCandidate, trafficOf } from './readiness.ts';
import { refuseDuringFailover } from './rejoining.ts';
import { report } from './report.ts';
import { isoNow, nowMs } from './time.ts';

/** A clone that is no primary by then will not be one; the RTO, where it is longer, is given to it, too. */
const LONGEST_MS = 900_000;

interface Cast {
  from: NodeFacts;
  to: NodeFacts;
  clone: NodeFacts;
  mover: Mover;
}

/** The whole drill: nothing is made before the nodes were looked at, and how it is removed is known before it is made. */
export async function drillFailover(use: Drilling): Promise<FailoverDrillResult> {
  const { cluster, order, said, journal, notices, undo } = use;
  await refuseDuringFailover(order.service);
  const before = await timed(use, 'look at every node', () => lookAtAll(cluster));
  const cast = castOf(use, before);
  await lookAtSwitches(use, cast);
  said.begun = true;
  undo.push(`remove the clone of ${cast.to.name}`, () => remove(use, cast));
  const copied = await copy(use, cast);
  const started = await start(use, cast);
  await takeOver(use, cast, started);
  const { failed } = await CancellationScope.nonCancellable(() => undo.unwind(journal));
  if (failed > 0) {
    const body = journal.progress.attention ?? '';
    notices.send({
      severity: 'error',
      title: `failover drill of ${order.service} left its clone`,
      body,
      lasting: true,
    });
  }
  const after = await timed(use, 'look at every node again', () => lookAtAll(cluster));
  said.untouched = untouchedChecks(cluster.nodes, before, after);
  return finish(use, cast, copied);
}

/** One primary, and a standby that its own worker sees. */
function castOf({ cluster, order }: Drilling, states: readonly NodeState[]): Cast {
  const name = order.to === undefined ? plannedCandidate(cluster, states) : candidateOf(cluster, order.to).name;
  const primary = primaryOf(states);
  const candidate = states.find(({ node }) => node === name);
  if (!primary || candidate?.role !== 'standby' || candidate.running !== true) {
    throw failure('Precondition', `service ${cluster.service} has no standby to drill on`, {
      place: `services.${cluster.service}.cluster`,
      expected: 'one primary, and a standby whose worker is there',
      found: states.map(describeNode).join('; '),
      hint: `lifeboat ready ${cluster.service}`,
    });
  }
  const [from, to] = [nodeOf(cluster, primary.node), nodeOf(cluster, name)];
  // Above what was copied with it, and taken from nobody: it is left in the clone alone.
  const mover = { epoch: candidate.epoch + 1, run: workflowInfo().runId };
  return { from, to, clone: { ...to, name: cloneName(to.name) }, mover };
}

/** Only looked at. One that could not be asked is not listed: `ready` says so. */
async function lookAtSwitches(use: Drilling, { from, to }: Cast): Promise<void> {
  const { cluster, service, said } = use;
  const seen = await timed(use, 'look where each switch sends traffic', () => trafficOf(use));
  const found = new Map(seen.traffic);
  said.switches = service.traffic.flatMap(({ name, sites }) => {
    const now = found.get(name);
    return now ? [{ name, from: now, to: { [sites === undefined ? nodeAddress(to) : to.site]: 100 } }] : [];
  });
  const { traffic, checks } = service;
  said.plan = planOf({ cluster, mode: 'unplanned', from, to, traffic, checks });
}

async function phase<T>({ said }: Drilling, name: keyof FailoverDrillPhases, work: () => Promise<T>): Promise<T> {
  const startedMs = nowMs();
  const done = await work();
  said.phases[name] = nowMs() - startedMs;
  return done;
}

function copy(use: Drilling, { to, mover }: Cast): Promise<CloneMade> {
  const what = `copy ${to.name}`;
  const acts = foreign({ summary: what, taskQueue: hostQueue(to.host) });
  const task = { ...taskOf(use.cluster, to), run: mover.run };
  return phase(use, 'copy', () => timed(use, what, () => acts.makeClone(task)));
}

/** Nothing is promoted before it is known to reach nobody. */
async function start(use: Drilling, { to, clone, mover }: Cast): Promise<CloneStarted> {
  const { cluster, said, journal } = use;
  const what = `start ${clone.name} and try what it can reach`;
  const acts = settling({ summary: what, taskQueue: hostQueue(to.host) });
  const task = { ...taskOf(cluster, to), run: mover.run };
  const started = await phase(use, 'start', () => timed(use, what, () => acts.startClone(task)));
  const { by, checks } = (said.isolation = started.isolation);
  const open = checks.filter(({ ok }) => !ok);
  journal.note(`isolation by ${by}: ${checks.map(({ name, found }) => `${name}: ${found}`).join('; ')}`);
  if (open.length === 0) return started;
  const found = open.map((check) => `${check.name}: ${check.found}`).join('; ');
  throw failure('Integrity', `the clone of ${to.name} is not isolated: ${found}`, {
    ...{ place: clone.name, expected: open.map(({ name, expected }) => `${name}: ${expected}`).join('; '), found },
    hint: 'nothing was promoted, and it is removed: see how the worker of its host may make network namespaces',
  });
}

/** The clone becomes the primary as the standby would: promoted, written to, checkpointed, checked. */
async function takeOver(
  use: Drilling,
  { from, to, clone, mover }: Cast,
  { lsn, timeline }: CloneStarted,
): Promise<void> {
  const { cluster, journal, said } = use;
  const limitMs = Math.max(LONGEST_MS, cluster.objectives.rtoMs ?? 0);
  const hint = 'it is removed: see which step it was in the timeline, then start the drill again';
  const others = cluster.nodes.filter(({ name }) => name !== to.name && name !== from.name).map(({ name }) => name);
  const wish = { timeline, lsn, followers: [from.name, ...others], alone: true };
  const promoting = { cluster, to: clone, mover, journal, said };
  const slow = (): void => journal.attention(`${clone.name} has not left recovery yet; it is looked at again`);
  const began = nowMs();
  await within({ limitMs, what: `to make a primary of ${clone.name}`, place: clone.name, hint }, async () => {
    const promotion = (said.promotion = await phase(use, 'promote', () => promoteCandidate(promoting, wish, slow)));
    journal.attention(undefined);
    await timed(use, `write a marker on ${clone.name}`, () => mark(promoting));
    said.phases.firstWrite = nowMs() - began;
    const seen = await timed(use, `read it on ${clone.name}`, () => lookAt(cluster, clone));
    const what = `checkpoint ${clone.name}`;
    await timed(use, what, () => at(clone, what).checkpointNode(taskOf(cluster, clone)));
    const checking = search({ summary: `check ${clone.name}`, taskQueue: hostQueue(to.host) });
    const checks = await timed(use, `check ${clone.name}`, () => checking.checkClone(taskOf(cluster, to)));
    said.checks = [forkCheck(promotion, { lsn, timeline }), writtenCheck(seen, mover), ...checks];
    said.phases.ready = nowMs() - began;
  });
}

function forkCheck(
  promotion: { forkLsn: string; timeline: number; oldTimeline: number },
  was: { lsn: string; timeline: number },
): Check {
  const { forkLsn, timeline, oldTimeline } = promotion;
  const ok = oldTimeline === was.timeline && timeline > oldTimeline && compareLsn(forkLsn, was.lsn) >= 0;
  const expected = `a timeline above ${was.timeline} from ${was.lsn} or later`;
  return { name: 'new timeline', ok, expected, found: `timeline ${timeline} from ${forkLsn}` };
}

/** In a session that came later, by the number that was written. */
function writtenCheck({ role, epoch }: NodeState, mover: Mover): Check {
  const ok = role === 'primary' && epoch === mover.epoch;
  return { name: 'written and read', ok, expected: `a primary with ${mover.epoch}`, found: `a ${role} with ${epoch}` };
}

async function remove(use: Drilling, { to }: Cast): Promise<{ left?: string }> {
  const { cluster, said } = use;
  const { isolation } = said;
  const namespace = isolation?.namespace === undefined ? {} : { namespace: isolation.namespace };
  const what = `remove the clone of ${to.name}`;
  const task = { ...taskOf(cluster, to), ...namespace };
  const { checks } = await phase(use, 'remove', () => timed(use, what, () => at(to, what).removeClone(task)));
  said.removed = checks;
  const left = checks.filter(({ ok }) => !ok).map(({ name, found }) => `${name}: ${found}`);
  return left.length === 0 ? {} : { left: `remove what is left of the clone of ${to.name}: ${left.join('; ')}` };
}

async function finish(use: Drilling, { from, to }: Cast, copied: CloneMade): Promise<FailoverDrillResult> {
  const { cluster, said, journal, facts } = use;
  const { service, objectives } = cluster;
  const { isolation, promotion, plan, switches = [], steps } = said;
  if (!isolation || !promotion || !plan) throw failure('Bug', 'a drill without a promotion');
  const checks = passed(use, isolation.checks);
  const phases: FailoverDrillPhases = { ...NOTHING, ...said.phases };
  const { rtoMs } = objectives;
  const failoverDrill: FailoverDrillMeasurement = {
    ...{ format: 'lifeboat-failover-drill/1', service, node: to.name, run: workflowInfo().runId, at: isoNow(), phases },
    ...(rtoMs === undefined ? {} : { rtoMs }),
  };
  if (rtoMs !== undefined && phases.ready > rtoMs) tellMissed(use, { node: to.name, readyMs: phases.ready, rtoMs });
  const stored = await report({ kind: 'failover-drill', journal, facts, done: true, failoverDrill, ...drillTold(use) });
  return {
    ...{ service, from: from.name, to: to.name, isolation, copied, promotion, phases, checks, switches, plan },
    objectives: rtoMs === undefined ? [] : [{ name: 'rto', objectiveMs: rtoMs, measuredMs: phases.ready, ok: phases.ready <= rtoMs }], // prettier-ignore
    steps: steps.map(({ name, ms }) => ({ name, ms })),
    ...(stored ? { report: stored } : {}),
  };
}

const NOTHING: FailoverDrillPhases = { copy: 0, start: 0, promote: 0, firstWrite: 0, ready: 0, remove: 0 };
const UNSEEN: Check = { name: 'the clone is removed', ok: false, expected: 'seen', found: 'nobody has seen that' };

/** A drill that did not show what it is for has failed. */
function passed({ said, order }: Drilling, isolation: readonly Check[]): Check[] {
  const { checks = [], removed = [UNSEEN], untouched = [] } = said;
  const all = [...isolation, ...checks, ...removed, ...untouched];
  const bad = all.filter(({ ok }) => !ok);
  if (bad.length === 0) return all;
  const found = bad.map((check) => `${check.name}: ${check.found}`).join('; ');
  throw failure('Integrity', `failover drill of ${order.service} did not pass: ${found}`, {
    ...{ place: `services.${order.service}.cluster`, found },
    expected: bad.map(({ name, expected }) => `${name}: ${expected}`).join('; '),
    hint: 'see its report; nobody was failed over',
  });
}

function tellMissed({ order, notices }: Drilling, at: { node: string; readyMs: number; rtoMs: number }): void {
  const title = `failover drill of ${order.service} takes longer than its RTO ${formatDuration(at.rtoMs)}`;
  const body = `${at.node} was ready ${formatDuration(at.readyMs)} after the word to promote; to see the outage, to decide, the fence and the traffic come to that`;
  notices.send({ severity: 'warning', title, body });
}
