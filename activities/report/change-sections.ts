import { approvalSections } from '../../workflows/model/approval-sections.ts';
import { CHECK_HEAD, checkRows } from '../../workflows/model/check-rows.ts';
import { describeLoss, describeTail } from '../../workflows/model/failover-loss.ts';
import type { ZeroLossProof } from '../../workflows/model/failover.ts';
import type { Report, ReportSection, ServiceChange, StepHistory } from '../../workflows/model/report.ts';
import { describeTraffic } from '../../workflows/model/traffic.ts';
import { spanText } from './text.ts';

/** What a report says of a change of servers. */
export function changeSections(report: Report): ReportSection[] {
  const { change } = report;
  if (!change) return [];
  const { fence, traffic, followers = [], checks } = change;
  const sections: (ReportSection | undefined)[] = [
    rows('Who and what', whoRows(change)),
    rows('Time', timeRows(report)),
    rows('Loss', lossRows(report)),
    fence && rows('Fence', fence.map(({ step, outcome, found }, rung) => [String(rung + 1), step, outcome, found]), ['rung', 'step', 'outcome', 'seen']), // prettier-ignore
    change.promotion && rows('Promotion', promotionRows(change.promotion)),
    traffic && rows('Switches', traffic.map((each) => [each.name, describeTraffic(each.from), describeTraffic(each.to), each.found]), ['switch', 'from', 'to', 'seen from outside']), // prettier-ignore
    ...followers.map((each) => rows(`${each.node} follows`, checkRows(each.checks), CHECK_HEAD)),
    checks && rows('Checks', checkRows(checks), CHECK_HEAD),
    ...planSection(change),
    ...approvalSections(change),
  ];
  return sections.filter((section) => section !== undefined && section.rows.length > 0) as ReportSection[];
}

/** Each step beside what it took before. */
export function stepSection({ steps = [] }: Report): ReportSection[] {
  if (steps.length === 0) return [];
  const lines = steps.map(({ name, from, ms, before }) => [name, from, spanText(ms), historyText(ms, before)]);
  return [{ title: 'Steps', head: ['step', 'began (UTC)', 'took', 'in earlier runs'], rows: lines }];
}

function historyText(ms: number, before: StepHistory | undefined): string {
  if (!before) return 'none';
  const { runs, medianMs, longestMs } = before;
  const news = ms > longestMs ? ': longer than ever' : '';
  return `${spanText(medianMs)}, at most ${spanText(longestMs)}, of ${runs}${news}`;
}

function rows(title: string, lines: string[][], head = ['', '']): ReportSection {
  return { title, head, rows: lines };
}

function known(pairs: readonly (readonly [string, string | undefined])[]): string[][] {
  return pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

function whoRows({ service, mode, from, to, by, epoch, lastSeen, breakGlass, configHash }: ServiceChange): string[][] {
  return known([
    ['service', service],
    ['what', mode && `${mode} failover`],
    ['from', from],
    ['to', to],
    ['started by', by],
    ['the rules were to be broken because', breakGlass],
    ['last seen to serve', lastSeen],
    ['number of the run', epoch === undefined ? undefined : String(epoch)],
    ['configuration of the service', configHash],
  ]);
}

function timeRows({ rto, outage }: Report): string[][] {
  const told = rto?.escalated ? 'at 75 % and at 100 %' : rto?.warned ? 'at 75 %' : 'nothing';
  return known([
    ['nobody was served from', outage?.from],
    ['until', outage && (outage.to ?? 'it was not over when this was written')],
    ['for', outage?.ms === undefined ? undefined : spanText(outage.ms)],
    [
      'RTO',
      rto && `${spanText(rto.elapsedMs)} of ${spanText(rto.objectiveMs)}: ${verdict(rto.elapsedMs, rto.objectiveMs)}`,
    ],
    ['RTO clock told', rto && told],
  ]);
}

function verdict(ms: number, objectiveMs: number): string {
  return ms <= objectiveMs ? 'kept' : 'MISSED';
}

function lossRows({ change, rpoObjectiveMs }: Report): string[][] {
  const { zeroLoss, loss, lost } = change ?? {};
  const within =
    loss?.known && rpoObjectiveMs !== undefined
      ? `at most ${spanText(loss.mostMs)} of ${spanText(rpoObjectiveMs)}: ${verdict(loss.mostMs, rpoObjectiveMs)}`
      : undefined;
  return known([
    ...(zeroLoss ? zeroLossRows(zeroLoss) : []),
    ['quoted before the promotion', loss && describeLoss(loss)],
    ['measured behind it', lost && describeTail(lost)],
    ['RPO', within ?? (rpoObjectiveMs === undefined ? 'none declared' : zeroLoss?.ok ? 'kept: nothing is lost' : 'cannot be said')], // prettier-ignore
  ]);
}

function zeroLossRows(proof: ZeroLossProof): [string, string][] {
  return [
    ['the old primary ended at', `${proof.shutdownEndLsn} on timeline ${proof.timeline}`],
    ['the new one had received', proof.receivedLsn],
    ['its timeline begins at', `${proof.forkLsn}, as timeline ${proof.newTimeline}`],
    ['so lost is', proof.ok ? 'nothing' : 'NOT PROVEN to be nothing'],
  ];
}

function promotionRows({
  node,
  timeline,
  oldTimeline,
  forkLsn,
  at,
}: NonNullable<ServiceChange['promotion']>): string[][] {
  return [
    ['node', node],
    ['at', at],
    ['timeline', `${oldTimeline} to ${timeline}, at ${forkLsn}`],
  ];
}

function planSection({ plan, planHash }: ServiceChange): ReportSection[] {
  if (!plan) return [];
  const lines = plan.steps.map(({ what, undo, pointOfNoReturn }, index) => [
    String(index + 1),
    what,
    pointOfNoReturn ? 'nothing: only forward from here' : (undo ?? ''),
  ]);
  const title = planHash === undefined ? 'Plan' : `Plan ${planHash}`;
  return [rows(title, lines, ['', 'step', 'taken back by'])];
}
