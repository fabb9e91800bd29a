import { CancellationScope, sleep } from '@temporalio/workflow';
import type { Approval } from '../model/approval.ts';
import type { FailoverMode, NodeState } from '../model/cluster.ts';
import { nodeAddress } from '../model/cluster.ts';
import type { FailoverResult, Following, Promotion } from '../model/failover.ts';
import { wasNotAsked } from '../model/failover.ts';
import { stateOf } from '../model/failover-checks.ts';
import { failure } from '../model/failure.ts';
import type { Lsn } from '../model/lsn.ts';
import { compareLsn } from '../model/lsn.ts';
import { hostQueue } from '../model/names.ts';
import type { Check } from '../model/recovery.ts';
import { quick, settling } from '../options.ts';
import { messageOf } from './conclude.ts';
import type { Said, Switching } from './failing-over.ts';
import { endOutage, timed } from './failing-over.ts';
import { lookAt, taskOf } from './nodes.ts';
import type { Marked } from './behind-promotion.ts';
import { attended, mark, orTold, tellAlone } from './behind-promotion.ts';
import { promoteCandidate } from './promoting.ts';
import { tellNoStandby, tellNotWell, tellServed } from './failover-told.ts';
import { awaitRaised, leaveSite } from './failover-sites.ts';
import { followPromoted, othersOf } from './other-standbys.ts';
import { report } from './report.ts';
import { failoverTold } from './service-report.ts';
import { nowMs } from './time.ts';

const FOLLOW_MS = 60_000;
/** A promotion that takes long, as one thing for those who are told. */
const PROMOTION = 'promotion';

export interface Serving {
  mode: FailoverMode;
  approvals: Approval[];
  /** When nobody was served any more. */
  startedMs: number;
  /** Before anything was touched. */
  states: readonly NodeState[];
  /** Timeline of the candidate, and what it has to have received. */
  timeline: number;
  lsn: Lsn;
  receivedLsn: Lsn;
  /** The old primary was stopped as a standby of the new one, and has lost nothing. */
  rejoin: boolean;
}

/**
 * The point of no return, and all behind it: there is only forward. A cancellation is heard, and told that it comes too late. The old
 * primary is not started before the new one is promoted, whatever happens.
 */
export function serve(use: Switching, what: Serving): Promise<FailoverResult> {
  const { journal, to } = use;
  void CancellationScope.current().cancelRequested.catch(() =>
    journal.note(`cancelled too late: ${to.name} is being promoted, there is only forward`),
  );
  return CancellationScope.nonCancellable(() => forward(use, what));
}

async function forward(use: Switching, what: Serving): Promise<FailoverResult> {
  const { cluster, service, to, traffic, said, journal, clock } = use;
  const promotion = await promote(use, what);
  checkFork(use, promotion, what);
  const marked = await orTold(use, `write a marker on ${to.name}`, () => mark(use));
  const others = othersOf(use, what.states);
  // Beside the traffic: what a standby that hangs takes is no outage.
  const following = followPromoted(use, others, { promotion, marked });
  // A primary that waits for a standby acknowledges nothing before it has one.
  const early = what.rejoin && waits(use, what) ? await rejoin(use, what, marked) : undefined;
  const address = nodeAddress(to);
  await awaitRaised(use);
  await timed(use, `send the traffic to ${address}`, () => traffic.send(address, 100, to.site));
  clock.reached();
  endOutage(said);
  // It may have begun long before the run did.
  const outageMs = said.outage?.ms ?? nowMs() - what.startedMs;
  const rtoMs = Math.max(journal.elapsedMs(), outageMs);
  tellServed(use, { mode: what.mode, outageMs });
  const late = await traffic.sendLate(address, 100, to.site);
  if (late.length > 0) said.wrong = [...(said.wrong ?? []), ...late];
  const flush = `checkpoint ${to.name}`;
  const flushing = settling({ summary: flush, taskQueue: hostQueue(to.host) });
  await orTold(use, flush, () => flushing.checkpointNode(taskOf(cluster, to)));
  const rejoined = early ?? (what.rejoin ? await rejoin(use, what, marked) : undefined);
  if (others.length > 0) said.others = await following;
  await acknowledgeAlone(use, what, early);
  await measure(use, what, promotion);
  tellAlone(use);
  const checks = await lastChecks(use, address);
  const left = what.rejoin ? await leaveSite(use) : [];
  const result: FailoverResult = {
    ...{ service: service.service, mode: what.mode, from: use.from.name, to: to.name, address, epoch: traffic.epoch },
    ...{ approvals: what.approvals, promotion, traffic: traffic.moved(), outageMs, rtoMs, checks },
    ...foundOf(said),
    steps: said.steps.map(({ name, ms }) => ({ name, ms })),
    next: (said.next = [...attended(use), ...left, ...nextSteps(use, rejoined)]),
  };
  const { facts } = use;
  const stored = await report({ kind: 'failover', journal, facts, done: true, servedAfterMs: rtoMs, ...failoverTold(use) }); // prettier-ignore
  return stored ? { ...result, report: stored } : result;
}

/** It has brought along that its commits wait for somebody. */
function waits({ to }: Switching, { states }: Serving): boolean {
  return (stateOf(states, to.name).settings?.['synchronous_standby_names'] ?? '') !== '';
}

/** For a server that may have died since: nobody waits for it for ever. */
const ALONE_MS = 120_000;

/**
 * Those who should have come may not be there, or come by another name than it waits for: what was promoted looks, and is told not to
 * wait for nobody.
 */
async function acknowledgeAlone(use: Switching, what: Serving, early: Following | undefined): Promise<void> {
  const { to, said } = use;
  const came = [...(early ? [early] : []), ...(said.others ?? [])];
  if (!waits(use, what) || came.length === 0) return;
  const wish = { timeline: what.timeline, lsn: what.lsn, followers: [], alone: true };
  await orTold(use, `see that ${to.name} acknowledges commits`, async () => {
    // Of a node that is promoted this promotes nothing: it answers what it is, and what it waits for no more.
    said.promotion = await CancellationScope.withTimeout(ALONE_MS, () => promoteCandidate(use, wish, () => undefined));
  });
}

/** What only some runs have. */
function foundOf({ zeroLoss, loss, lost, fence, evidence, rejoined, others }: Said): Partial<FailoverResult> {
  const found = Object.entries({ zeroLoss, loss, lost, fence, evidence, rejoined, others });
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

/**
 * Looked at for as long as it takes: that it takes long is told to people, and is no reason to do anything else. Only when the candidate was
 * seen not to be asked is what came before taken back.
 */
async function promote(use: Switching, { timeline, lsn, states, rejoin: comes }: Serving): Promise<Promotion> {
  const { cluster, from, to, journal, notices, said, undo } = use;
  const title = `service ${cluster.service}: promote ${to.name} takes long`;
  let isTold = false;
  const then = (): void => {
    isTold = true;
    journal.attention(`${to.name} has not left recovery yet; it is looked at again. Do not start the old primary`);
    notices.send({ severity: 'critical', title, body: `see ${to.name}`, about: PROMOTION });
  };
  journal.note('point of no return');
  const others = othersOf(use, states).map(({ name }) => name);
  const wish = { timeline, lsn, followers: [from.name, ...others], alone: !comes && others.length === 0 };
  let isAsked = true;
  try {
    said.promotion = await promoteCandidate(use, wish, then);
    journal.attention(undefined);
    if (isTold) notices.over(PROMOTION, { title: `no longer: ${title}`, body: 'It is done.' });
    return said.promotion;
  } catch (error) {
    isAsked = !wasNotAsked(error);
    throw error;
  } finally {
    if (isAsked) undo.clear();
  }
}

/** Where the new timeline begins says what was taken over: planned, exactly all; else no more than was frozen. */
function checkFork({ said, to }: Switching, { forkLsn, timeline, oldTimeline }: Promotion, what: Serving): void {
  const order = compareLsn(forkLsn, what.lsn);
  if (what.mode === 'planned') {
    const ok = order === 0 && timeline > oldTimeline;
    said.zeroLoss = {
      ...{ timeline: oldTimeline, shutdownEndLsn: what.lsn, receivedLsn: what.receivedLsn },
      ...{ forkLsn, newTimeline: timeline, ok },
    };
    if (ok) return;
  } else if (order <= 0 && timeline > oldTimeline) return;
  throw failure('Integrity', `${to.name} has a timeline that does not begin where its old one ended`, {
    place: to.name,
    expected: `a timeline above ${oldTimeline} from ${what.lsn}`,
    found: `timeline ${timeline} from ${forkLsn}`,
    hint: 'traffic is stopped: look at both servers before anybody is served; the old primary must stay down',
  });
}

/** What the old primary had that the new one has not, where its worker was there before and its server is down. */
async function measure(use: Switching, { mode, states }: Serving, promotion: Promotion): Promise<void> {
  const { cluster, from, said } = use;
  if (mode === 'planned' || stateOf(states, from.name).running === undefined) return;
  const tail = { timeline: promotion.oldTimeline, fromLsn: promotion.forkLsn };
  const seen = await timed(use, `measure what ${from.name} has more`, () => lookAt(cluster, from, { tail }));
  if (seen.tail) said.lost = seen.tail;
}

/** The service works without it: what fails here is told, and is no failure of the run. */
async function rejoin(use: Switching, { states }: Serving, marked: Marked | undefined): Promise<Following> {
  const { cluster, from, to, mover, said } = use;
  // Slots that those had there who follow another one now: they would keep its WAL for ever.
  const stale = [to, ...othersOf(use, states)].flatMap(({ name }) => stateOf(states, name).receiver?.slot ?? []);
  try {
    said.rejoined = await timed(use, `start ${from.name} as a standby of ${to.name}`, async () => {
      const acts = settling({ summary: `start ${from.name} as a standby`, taskQueue: hostQueue(from.host) });
      await acts.startNode({
        ...taskOf(cluster, from),
        ...mover,
        ...(stale.length === 0 ? {} : { dropSlots: stale }),
      });
      // Without one nothing would prove it: it is tried once more.
      const known = marked ?? (await mark(use));
      return acts.awaitFollowing({ ...taskOf(cluster, from), ...known, withinMs: FOLLOW_MS });
    });
  } catch (error) {
    const check: Check = { name: 'starts', ok: false, expected: `a standby of ${to.name}`, found: messageOf(error) };
    said.rejoined = { node: from.name, ok: false, checks: [check] };
  }
  if (!said.rejoined.ok) tellNoStandby(use, said.rejoined);
  return said.rejoined;
}

const CHECK_EVERY_MS = 5_000;
const CHECK_TIMES = 6;

/** A check that fails once may be one that was too early; what it says half a minute long counts. */
async function lastChecks(use: Switching, address: string): Promise<Check[]> {
  const { service, to } = use;
  if (service.checks.length === 0) return [];
  const order = { source: service.source, service: service.service, at: address };
  for (let time = 1; ; time++) {
    const acts = quick({ summary: `check ${address}`, taskQueue: hostQueue(to.host) });
    const checks = await acts
      .checkService(order)
      .catch((error: unknown): Check[] => [
        { name: 'checks of the service', ok: false, expected: 'an answer', found: messageOf(error).slice(0, 300) },
      ]);
    const bad = checks.filter(({ ok }) => !ok);
    if (bad.length === 0) return checks;
    if (time === CHECK_TIMES) {
      tellNotWell(use, address, bad);
      return checks;
    }
    await sleep(CHECK_EVERY_MS, { summary: 'until the service is checked again' });
  }
}

function nextSteps({ cluster, from, to, said }: Switching, rejoined: Following | undefined): string[] {
  const follows = (name: string): boolean => said.others?.find(({ node }) => node === name)?.ok === true;
  const others = cluster.nodes.filter(({ name }) => name !== from.name && name !== to.name && !follows(name));
  return [
    ...(rejoined?.ok
      ? []
      : [
          `keep ${from.name} away from every client; when its host is back: lifeboat rejoin ${cluster.service} ${from.name}`,
        ]),
    ...(rejoined?.clients
      ? [
          `${from.name} has ${rejoined.clients} sessions of clients, which can only read there: they have an old address`,
        ]
      : []),
    ...others.map(({ name }) => `${name} does not follow ${to.name}: lifeboat rejoin ${cluster.service} ${name}`),
    `lifeboat backup ${cluster.source}: the new timeline deserves a base of its own`,
  ];
}
