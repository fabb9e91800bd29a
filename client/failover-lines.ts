import type { FailoverPreview, FailoverResult, Following, PlanStep } from '../workflows/model/failover.ts';
import { describeLoss, describeTail } from '../workflows/model/failover-loss.ts';
import type { Check } from '../workflows/model/recovery.ts';
import { describeTraffic } from '../workflows/model/traffic.ts';
import { formatDuration } from '../workflows/model/units.ts';
import { reportPairs } from './report-pairs.ts';
import { pairLines } from './table.ts';

/** What a failover did. */
export function failoverLines(result: FailoverResult): string[] {
  const {
    service,
    mode,
    from,
    to,
    address,
    promotion,
    zeroLoss,
    loss,
    lost,
    fence = [],
    rejoined,
    others = [],
    checks,
    next,
  } = result;
  const bad = checks.filter(({ ok }) => !ok);
  return [
    `${service} is failed over from ${from} to ${to} (${mode})`,
    ...pairLines([
      ['  serves', address],
      ['  timeline', `${promotion.oldTimeline} to ${promotion.timeline} at ${promotion.forkLsn}`],
      ['  lost', zeroLoss ? zeroText(zeroLoss) : loss ? `${describeLoss(loss)} (as quoted before)` : undefined],
      ['  measured', lost && `${describeTail(lost)} that only ${from} has`],
      ...fence.map(({ step, outcome, found }): [string, string] => ['  fence', `${step}: ${outcome}, ${found}`]),
      ...result.traffic.map(({ name, from: was, to: is }): [string, string] => [
        `  switch ${name}`,
        `${describeTraffic(was)} to ${describeTraffic(is)}`,
      ]),
      ['  approved by', result.approvals.map(({ by }) => by).join(', ') || undefined],
      ['  nobody served for', formatDuration(result.outageMs)],
      ['  in all', formatDuration(result.rtoMs)],
      ['  old primary', rejoined && followText(rejoined)],
      ...others.map((other): [string, string] => ['  standby', followText(other)]),
      ['  NOT WELL', bad.length > 0 ? bad.map(({ name, found }) => `${name}: ${found}`).join('; ') : undefined],
      ...reportPairs(result.report),
    ]),
    ...next.map((each) => `next: ${each}`),
  ];
}

function followText({ node, ok, checks, clients = 0 }: Following): string {
  if (ok) return clients === 0 ? `${node} follows` : `${node} follows, sessions of clients there: ${clients}`;
  return `${node} DOES NOT FOLLOW: ${checks.find((check) => !check.ok)?.found ?? 'nothing is known'}`;
}

function zeroText({ shutdownEndLsn, receivedLsn, forkLsn }: NonNullable<FailoverResult['zeroLoss']>): string {
  return `nothing: ended at ${shutdownEndLsn}, received ${receivedLsn}, forked at ${forkLsn}`;
}

/** What was checked, and what would be done. */
export function previewLines({ plan, ok, checks }: FailoverPreview): string[] {
  return [
    `${plan.service} ${ok ? 'can' : 'CANNOT'} be failed over from ${plan.from} to ${plan.to} (${plan.mode}); nothing was touched`,
    ...checkLines(checks),
    ...stepLines(plan.steps),
  ];
}

export function checkLines(checks: readonly Check[]): string[] {
  return checks.map(({ ok, name, expected, found }) =>
    ok ? `  ok    ${name}: ${found}` : `  NOT   ${name}: ${found}, expected ${expected}`,
  );
}

/** The steps of a plan, with their numbers. */
export function stepLines(steps: readonly PlanStep[]): string[] {
  return steps.map(({ what, pointOfNoReturn }, index) => {
    return `  ${String(index + 1).padStart(2)}. ${what}${pointOfNoReturn ? '   <- no way back from here' : ''}`;
  });
}
