import type { Approval, Evidence, Fact } from '../model/approval.ts';
import { approvalSections } from '../model/approval-sections.ts';
import { failure } from '../model/failure.ts';
import { hostQueue } from '../model/names.ts';
import type { RecoverOrder, RestoreOrder } from '../model/orders.ts';
import type { Check, RestoreResult } from '../model/recovery.ts';
import type { ReportSection } from '../model/report.ts';
import type { RecoverResult } from '../model/results.ts';
import type { ServiceFacts } from '../model/service.ts';
import { describeTarget } from '../model/target.ts';
import { addressText, describeTraffic } from '../model/traffic.ts';
import { quick } from '../options.ts';
import type { Approvals } from './approval.ts';
import type { Begun } from './begin.ts';
import type { Compensations } from './conclude.ts';
import { recover, replayOf } from './recover.ts';
import { report } from './report.ts';
import type { RtoClock } from './rto-clock.ts';
import { NO_CLOCK } from './rto-clock.ts';
import { sleep } from '@temporalio/workflow';
import type { TrafficControl } from './traffic.ts';

/** What a recovery that takes over has in its hands. */
export interface Saving extends Begun<RecoverOrder> {
  service: ServiceFacts;
  approvals: Approvals;
  undo: Compensations;
  clock: RtoClock;
  /** What is known so far, for the report of one that fails. */
  said: Said;
}

interface Said {
  /** What is looked at is looked at: from here on something is touched. */
  begun?: true;
  restore?: RestoreResult;
  evidence?: Evidence;
  approvals?: Approval[];
  stoppedAtMs?: number;
  /** What the scenario found, for evidence and report. */
  facts?: Fact[];
  sections?: ReportSection[];
}

/** Recovers and proves; the clock of the whole runs on, for nobody is served yet. */
export async function recoverProven(use: Saving, wish: RestoreOrder): Promise<RestoreResult> {
  const restore: RestoreResult = await recover(wish, { ...use, clock: NO_CLOCK, keepUnproven: true });
  use.said.restore = restore;
  use.journal.progress.result = restore;
  return restore;
}

export interface TakeOver {
  restore: RestoreResult;
  traffic: TrafficControl;
  /** Shares of the traffic, per cent; the last is 100. */
  steps: readonly number[];
  /** Between the approval and the first move. */
  before?: () => Promise<void>;
}

/** Asks those who have to agree, then moves the traffic, step by step, and looks behind each. */
export async function switchOver(use: Saving, over: TakeOver): Promise<RecoverResult> {
  const { journal, service, order, said, clock } = use;
  const { restore, traffic, steps } = over;
  const address = addressText({ host: service.address, port: restore.plan.port });
  const { evidence, given } = await use.approvals.ask({
    ...{ journal, notices: use.notices, rule: service.approval, initiator: order.by },
    what: `send the traffic of ${service.service} to ${address}`,
    weigh: async () => (said.evidence = await weigh(use, { ...over, address })),
  });
  said.approvals = given;
  await over.before?.();
  let servedAtMs: number | undefined;
  for (const percent of steps) {
    journal.step(`send ${percent} % of the traffic to ${address}`);
    await traffic.send(address, percent);
    servedAtMs ??= journal.elapsedMs();
    if (percent < 100) await checkStep(use, { address, percent });
  }
  const rtoMs = journal.elapsedMs();
  const stoppedMs = (servedAtMs ?? rtoMs) - (said.stoppedAtMs ?? rtoMs);
  clock.reached();
  use.undo.clear();
  const checks = await lastChecks(use, address);
  const result: RecoverResult = {
    ...{ scenario: order.scenario, service: service.service, restore, address },
    ...{ traffic: traffic.moved(), approvals: given, evidence, epoch: traffic.epoch, rtoMs, stoppedMs, checks },
    next: [
      `point sources.${order.source}.connection to ${address}, then: lifeboat apply, lifeboat backup ${order.source}`,
      'give the recovered cluster its archiving and listen_addresses for good: postgresql.auto.conf, the block "lifeboat recovery"',
      'keep the old cluster stopped, or away from every client, until nothing of it is needed any more',
    ],
  };
  return { ...result, ...(await written(use, restore)) };
}

async function written(use: Saving, result: RestoreResult): Promise<{ report?: NonNullable<RecoverResult['report']> }> {
  const { journal, facts } = use;
  const { behindTargetMs: rpoMs } = result.proof;
  const stored = await report({
    ...{ kind: 'recover', journal, facts, result, sections: sectionsOf(use) },
    ...(rpoMs === undefined ? {} : { rpoMs }),
  });
  return stored ? { report: stored } : {};
}

/** Everything that the decision rests on, as it is now; what is not good enough is not shown to anybody. */
async function weigh(use: Saving, over: TakeOver & { address: string }): Promise<Evidence> {
  const { order, service, said } = use;
  const { restore, traffic, address, steps } = over;
  const { plan, proof } = restore;
  const replay = replayOf(restore);
  const checks = await checkOnce(use, address);
  const bad = checks.filter(({ ok }) => !ok);
  if (bad.length > 0) throw notHealthy(service, bad);
  const now = await traffic.look();
  const good = proof.checks.filter(({ ok }) => ok).length;
  const facts: Fact[] = [
    { name: 'service', value: `${service.service}: ${order.scenario} of ${order.source}, started by ${order.by}` },
    { name: 'recovered to', value: `${describeTarget(plan.target)}, from ${plan.base.point}` },
    { name: 'stopped', value: `at ${replay.stoppedAtLsn} on timeline ${replay.timeline}: ${replay.stopReason}` },
    { name: 'newest commit in it', value: replay.lastCommitAt ?? 'none replayed' },
    { name: 'newest commit in the vault, lost if it is a later one', value: plan.window.to ?? 'unknown' },
    {
      name: 'proof',
      value: `${good} of ${proof.checks.length} checks, ${proof.relations} relations, ${proof.rows} rows`,
    },
    ...(said.facts ?? []),
    ...checks.map(({ name, found }) => ({ name: `check ${name}`, value: found })),
    ...now.map(({ name, traffic: at }) => ({ name: `switch ${name} now`, value: describeTraffic(at) })),
    { name: 'then', value: `${steps.map((step) => `${step} %`).join(', ')} of the traffic to ${address}` },
  ];
  const acts = quick({ summary: 'read the evidence again', taskQueue: hostQueue(plan.host) });
  return acts.weighRecovery({ source: order.source, plan, facts });
}

function checkOnce({ order, service, said }: Saving, at: string): Promise<Check[]> {
  if (service.checks.length === 0) return Promise.resolve([]);
  const host = said.restore?.plan.host;
  const acts = quick({ summary: `check ${at}`, ...(host === undefined ? {} : { taskQueue: hostQueue(host) }) });
  return acts.checkService({ source: order.source, service: service.service, at });
}

const CHECK_EVERY_MS = 5_000;
const CHECK_TIMES = 6;

/** A check that fails once may be one that was too early; what it says half a minute long counts. */
async function checkPatiently(use: Saving, at: string): Promise<Check[]> {
  for (let time = 1; ; time++) {
    const checks = await checkOnce(use, at);
    if (time === CHECK_TIMES || checks.every(({ ok }) => ok)) return checks;
    await sleep(CHECK_EVERY_MS, { summary: 'until the service is checked again' });
  }
}

async function checkStep(use: Saving, { address, percent }: { address: string; percent: number }): Promise<void> {
  const bad = (await checkPatiently(use, address)).filter(({ ok }) => !ok);
  if (bad.length > 0) throw notHealthy(use.service, bad, ` at ${percent} % of the traffic`);
}

/** All clients are there: what is wrong now is told, and nothing is taken from them for it. */
async function lastChecks(use: Saving, address: string): Promise<Check[]> {
  const { service, notices, journal } = use;
  const checks = await checkPatiently(use, address).catch((error: unknown): Check[] => [
    { name: 'checks of the service', ok: false, expected: 'an answer', found: String(error).slice(0, 300) },
  ]);
  const bad = checks.filter(({ ok }) => !ok);
  if (bad.length === 0) return checks;
  const body = bad.map(({ name, found, detail }) => `${name}: ${found}${detail === undefined ? '' : ` (${detail})`}`);
  journal.attention(`traffic has moved, and the service is not well: ${body.join('; ')}`);
  notices.send({
    severity: 'critical',
    title: `service ${service.service} is not well at ${address}`,
    body: body.join('\n'),
    lasting: true,
  });
  return checks;
}

function notHealthy(service: ServiceFacts, bad: Check[], when = ''): Error {
  return failure(
    'Precondition',
    `service ${service.service} is not well${when}: ${bad.map(({ name }) => name).join(', ')}`,
    {
      place: `services.${service.service}.checks`,
      expected: bad.map(({ expected }) => expected).join('; '),
      found: bad.map(({ found, detail }) => `${found}${detail === undefined ? '' : `: ${detail}`}`).join('; '),
      hint: 'look at the recovered cluster with the same check',
      evidence: bad,
    },
  );
}

/** What the report says beside the recovery itself. */
export function sectionsOf({ said }: Saving): ReportSection[] {
  const { evidence, approvals, sections = [] } = said;
  return [...sections, ...approvalSections({ evidence, approvals })];
}
