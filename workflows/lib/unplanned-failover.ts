import { CancellationScope } from '@temporalio/workflow';
import type { Evidence, Fact } from '../model/approval.ts';
import type { NodeFacts, NodeState } from '../model/cluster.ts';
import { describeNode } from '../model/cluster.ts';
import type { FailoverPreview, FailoverResult } from '../model/failover.ts';
import { candidateChecks, stateOf } from '../model/failover-checks.ts';
import type { Loss } from '../model/failover-loss.ts';
import { describeLoss, lossOf } from '../model/failover-loss.ts';
import { factsOfPlan, planOf } from '../model/failover-plan.ts';
import type { Diagnosis, FenceResult, Verdict } from '../model/failover-verdict.ts';
import { decide, diagnose } from '../model/failover-verdict.ts';
import { failure } from '../model/failure.ts';
import type { Lsn } from '../model/lsn.ts';
import { hostQueue } from '../model/names.ts';
import type { Check } from '../model/recovery.ts';
import type { ApprovalRule } from '../model/service.ts';
import { parseTargetTime } from '../model/target-parse.ts';
import { quick, settling } from '../options.ts';
import type { FailingOver, Switching } from './failing-over.ts';
import { beginOutage, moverOf, refuseUnless, timed } from './failing-over.ts';
import { climb } from './fence-ladder.ts';
import { at, lookAt, lookAtAll, taskOf } from './nodes.ts';
import { permitted } from './permission.ts';
import { beginRaise } from './failover-sites.ts';
import { serve } from './serve-promoted.ts';
import { nowMs } from './time.ts';
import { TrafficControl } from './traffic.ts';

const STOP_MS = 120_000;

/** The primary is gone: what is lost is quoted, it is fenced, somebody decides, and the candidate is promoted. */
export async function unplannedFailover(use: FailingOver): Promise<FailoverResult | FailoverPreview> {
  const { order, cluster, to, said, journal } = use;
  const seen = await timed(use, 'look at the primary from all sides', () => judge(use));
  const { from, checks, states } = seen;
  said.checks = checks;
  const { traffic, checks: names } = use.service;
  const plan = { cluster, mode: 'unplanned' as const, from, to, traffic, checks: names };
  said.plan = planOf(plan);
  if (order.dryRun) return { preview: true, plan: said.plan, ok: checks.every(({ ok }) => ok), checks };
  refuseUnless(checks, cluster, hintOf(use, seen));
  // It was gone before: since when, nobody knows better than whoever started this.
  beginOutage(said, order.since === undefined ? journal.progress.startedAt : parseTargetTime(order.since));
  // One that is gone with its site keeps nobody from being served: it is named to those who have to agree.
  const open = { to: to.site, withoutAfterMs: cluster.limits.lookMs };
  const control = (said.traffic = await timed(use, 'look at every switch', () => TrafficControl.open(use, open)));
  const sides = { ...use, from, traffic: control, mover: moverOf(control) };
  said.begun = true;
  const raising = beginRaise(sides);
  const switching: Switching = { ...sides, ...(raising ? { raising } : {}) };
  const frozen = await isolate(switching, seen);
  const fence = await climb(switching);
  // While the ladder was climbed it may have written: quoted is what is lost once that is over.
  said.loss = await timed(use, 'say what will be lost', () => quote(use, { frozen, states }));
  journal.note(`lost is ${describeLoss(said.loss)}`);
  const verdict = judgeBy(switching, { fence, loss: said.loss });
  const approvals = await permitted(use, {
    ...{ rule: ruleOf(use, verdict), what: `promote ${to.name} in place of ${from.name}` },
    weigh: () => weigh(switching, { frozen, verdict }),
  });
  return serve(switching, {
    ...{ mode: 'unplanned' as const, approvals, startedMs: journal.startedMs, states, rejoin: false },
    ...{ timeline: frozen.timeline, lsn: frozen.lsn, receivedLsn: frozen.lsn },
  });
}

interface Judged {
  states: NodeState[];
  /** The node that was the primary. */
  from: NodeFacts;
  diagnosis: Diagnosis;
  checks: Check[];
}

/**
 * By its own worker, by that of the candidate, and by any other: each with its own short limits. Once it is known who the primary
 * was, that one may come back as a standby: a supervisor starts what the fence has made one of.
 */
async function judge(use: FailingOver, known?: NodeFacts): Promise<Judged> {
  const { cluster, to } = use;
  const states = await lookAtAll(cluster);
  const from = known ?? lostPrimary(use, states);
  const outside = await Promise.all([lookAt(cluster, from, { from: to.host }), lookAt(cluster, from, { from: 'any' })]);
  // What one host sees is said once.
  const others = outside.slice(from.host === to.host ? 1 : 0);
  const standbys = states.filter(({ node, role }) => role === 'standby' && node !== from.name && node !== to.name);
  const diagnosis = diagnose([stateOf(states, from.name), ...others], stateOf(states, to.name), standbys);
  const gone: Check = {
    name: 'primary is gone',
    ok: diagnosis.agreed,
    expected: 'nobody sees it serve, and its standby does not hear it',
    found: `${from.name}: ${diagnosis.outage}; ${diagnosis.why.join('; ')}`,
  };
  const rest = states.filter(({ node }) => node !== from.name);
  return { states, from, diagnosis, checks: [gone, ...candidateChecks({ cluster, states: rest, to: to.name })] };
}

/** The one node that is no standby that answers. */
function lostPrimary({ cluster, to }: FailingOver, states: readonly NodeState[]): NodeFacts {
  const rest = cluster.nodes.filter(({ name }) => name !== to.name && stateOf(states, name).role !== 'standby');
  const [only, ...more] = rest;
  if (only && more.length === 0) return only;
  throw failure('Precondition', `service ${cluster.service}: it is not clear which node was the primary`, {
    place: `services.${cluster.service}.cluster.nodes`,
    expected: 'one node that is no standby',
    found: states.map(describeNode).join('; '),
    hint:
      rest.length === 0
        ? `lifeboat failover ${cluster.service} --to ${to.site} --planned`
        : 'bring the standbys up first',
  });
}

function hintOf({ order }: FailingOver, { diagnosis }: Judged): string {
  if (diagnosis.agreed) return 'mend that, then start it again';
  if (diagnosis.outage === 'unknown')
    return 'nobody can tell: the workers that did not look have to run; lifeboat status';
  return `it lives: lifeboat failover ${order.service} --to ${order.to} --planned, or stop it first`;
}

/** No more traffic, and a candidate that stands still. */
async function isolate(use: Switching, { states }: Judged): Promise<{ lsn: Lsn; timeline: number }> {
  const { cluster, from, to, traffic, mover, undo } = use;
  undo.push('send the traffic where it went', () => traffic.putBack());
  await timed(use, 'stop the traffic', () => traffic.stop());
  const task = { ...taskOf(cluster, to), ...mover };
  undo.push(`let ${to.name} follow again`, () => at(to, `let ${to.name} follow again`).thawNode(task));
  const acts = quick({ summary: `freeze ${to.name}`, taskQueue: hostQueue(to.host) });
  const frozen = await timed(use, `freeze ${to.name}`, () => acts.freezeNode(task));
  // What the ladder does to a server is taken back only where its worker is there to do it.
  const { running } = stateOf(states, from.name);
  if (running !== undefined) {
    const back = { ...taskOf(cluster, from), ...mover, withinMs: STOP_MS, start: running };
    const what = running ? `start ${from.name} as the primary it was` : `leave ${from.name} as it was found`;
    const acts = settling({ summary: what, taskQueue: hostQueue(from.host) });
    undo.push(what, () => (isPoweredOff(use) ? leftOff(from) : acts.reinstateNode(back)));
  }
  return frozen;
}

/** A rung of the ladder has asked for its host to be stopped: nobody is there to start anything. */
function isPoweredOff({ cluster, said }: Switching): boolean {
  const tried = (said.fence ?? []).map(({ outcome }, rung) => ({ outcome, by: cluster.fence[rung]?.by }));
  return tried.some(({ by, outcome }) => by === 'instance-stop' && outcome !== 'impossible');
}

function leftOff({ name }: NodeFacts): Promise<{ left: string }> {
  return Promise.resolve({
    left: `start the instance of ${name}, which a fence has stopped, and look how its server comes up`,
  });
}

interface Frozen {
  lsn: Lsn;
  timeline: number;
}

/** A vault that cannot be asked is no reason to wait: what is lost is unknown then. */
async function quote(
  { cluster, to, order }: FailingOver,
  { frozen, states }: { frozen: Frozen; states: readonly NodeState[] },
): Promise<Loss> {
  const { systemId = '', heartbeat } = stateOf(states, to.name);
  const asked = { source: cluster.source, service: cluster.service, systemId, ...frozen };
  const question = {
    frozenLsn: frozen.lsn,
    timeline: frozen.timeline,
    heartbeatAt: heartbeat?.at,
    untilMs: order.since === undefined ? nowMs() : Date.parse(parseTargetTime(order.since)),
  };
  try {
    const { sample } = await quick({ summary: 'where the primary was, by what the vault has' }).readSample(asked);
    return lossOf({ ...question, sample });
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return lossOf({ ...question, sample: undefined });
  }
}

function judgeBy(use: Switching, { fence, loss }: { fence: FenceResult[]; loss: Loss }): Verdict {
  const { cluster, order, journal, traffic } = use;
  const { objectives, automatic } = cluster;
  const away = traffic.doubts.filter(({ isAway }) => isAway).map(({ name }) => name);
  const verdict = decide({ fence, loss, rpoMs: objectives.rpoMs, automatic, away });
  journal.note(`decision: ${verdict.permission}${verdict.risks.map((risk) => `; ${risk}`).join('')}`);
  if (verdict.permission !== 'break-glass' || order.breakGlass !== undefined) return verdict;
  throw failure('Precondition', `${use.to.name} is not promoted by the rules: ${verdict.risks.join('; ')}`, {
    place: `services.${cluster.service}.cluster`,
    expected: 'a confirmed fence, and a loss within the RPO',
    found: verdict.risks.join('; '),
    hint: `lifeboat failover ${order.service} --to ${order.to} --unplanned --break-glass "why it is worth that"`,
  });
}

function ruleOf({ cluster }: FailingOver, { permission }: Verdict): ApprovalRule | undefined {
  if (permission === 'automatic') return undefined;
  return cluster.approvals[permission === 'approval' ? 'unplanned' : 'breakGlass'];
}

/** Read again before and behind every approval: a primary that is back, or a candidate that has moved, ends it. */
async function weigh(use: Switching, { frozen, verdict }: { frozen: Frozen; verdict: Verdict }): Promise<Evidence> {
  const { cluster, said, order, to, from } = use;
  const now = await judge(use, from);
  refuseUnless(now.checks, cluster, hintOf(use, now));
  const candidate = stateOf(now.states, to.name);
  if (candidate.lsn !== frozen.lsn || !said.plan || !said.loss) {
    throw failure('Precondition', `${to.name} is not as it was frozen`, {
      ...{ place: to.name, expected: frozen.lsn, found: candidate.lsn ?? 'nothing' },
      hint: 'somebody lets it receive again: look, then start again',
    });
  }
  said.checks = now.checks;
  const { fence = [], loss } = said;
  const facts: Fact[] = [
    ...verdict.risks.map((risk) => ({ name: 'RISK', value: risk })),
    ...trafficFacts(use),
    ...(order.breakGlass === undefined ? [] : [{ name: 'break-glass, for', value: order.breakGlass }]),
    { name: 'lost', value: describeLoss(loss) },
    ...(order.since === undefined ? [] : [{ name: 'last seen to serve', value: order.since }]),
    { name: `${to.name} stands at`, value: `${frozen.lsn} on timeline ${frozen.timeline}` },
    ...fence.map(({ step, outcome, found }) => ({ name: `fence, ${step}`, value: `${outcome}: ${found}` })),
    ...factsOfPlan(said.plan, now.checks, order.by),
  ];
  return quick({ summary: 'weigh the evidence' }).weighFacts({ source: cluster.source, facts });
}

/** What may keep clients from where they are to be sent. */
function trafficFacts({ traffic, raising, to }: Switching): Fact[] {
  const failed = raising?.failed();
  return [
    ...traffic.doubts.map(({ name, why, isAway }) => ({
      name: isAway ? 'RISK' : 'note',
      value: isAway
        ? `switch ${name} does not answer, so that its clients are neither stopped nor sent on: ${why}`
        : `switch ${name}: ${why}`,
    })),
    ...(failed === undefined ? [] : [{ name: 'RISK', value: `site ${to.site} does not come up: ${failed}` }]),
  ];
}
