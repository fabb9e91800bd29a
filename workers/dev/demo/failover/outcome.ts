import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Beside } from '../../../../activities/report/index.ts';
import { renderHtml, spanText } from '../../../../activities/report/index.ts';
import { describeLoss, describeTail } from '../../../../workflows/model/failover-loss.ts';
import { workflowId } from '../../../../workflows/model/names.ts';
import type { FailbackResult, RejoinResult } from '../../../../workflows/model/rejoin.ts';
import type { Report, ReportSection } from '../../../../workflows/model/report.ts';
import type { Gap } from '../pair/load.ts';
import { SERVICE, SOURCE } from '../pair/world.ts';
import type { PlannedAct, Shown, UnplannedAct } from './acts.ts';
import { closeUp, pictureOf } from './picture.ts';
import type { Played, Stage } from './stage.ts';

export interface FailoverOutcome {
  stage: Stage;
  planned: PlannedAct;
  unplanned: UnplannedAct;
  back: Played<RejoinResult> & { keptOut: boolean };
  home: Shown & Played<FailbackResult>;
}

/** The line for a program: orders by the clients' own log, milliseconds in which none of them was served. */
export interface FailoverDemoResult {
  ok: boolean;
  planned: { lost: number; outageMs: number };
  unplanned: { lostQuoted: number; lostMeasured: number; outageMs: number };
  failback: { path: RejoinResult['path']; lost: number };
  /** Servers that took writes at the same moment, the most there ever were. */
  writersMax: number;
  report: string;
}

export async function concludeFailover(outcome: FailoverOutcome, folder: string): Promise<FailoverDemoResult> {
  const { stage, planned, unplanned, back, home } = outcome;
  await mkdir(folder, { recursive: true });
  const file = `failover-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}.html`;
  const report = resolve(join(folder, file));
  const found = {
    planned: { lost: planned.lostIds.size, outageMs: msOf(planned.gap) },
    unplanned: {
      ...{ lostQuoted: unplanned.quoted, lostMeasured: unplanned.lostIds.size, outageMs: msOf(unplanned.gap) },
    },
    failback: { path: back.result.path, lost: home.lostIds.size },
    writersMax: stage.probe.most(),
  };
  const ok =
    found.planned.lost === 0 &&
    found.unplanned.lostMeasured <= found.unplanned.lostQuoted &&
    found.failback.lost === 0 &&
    found.writersMax === 1 &&
    back.keptOut;
  const result = { ok, ...found, report };
  await writeFile(report, renderHtml(reportOf(outcome, result), undefined, besideOf(outcome, result)));
  return result;
}

function msOf({ fromMs, toMs }: Gap): number {
  return toMs - fromMs;
}

function reportOf({ stage, ...acts }: FailoverOutcome, { ok }: FailoverDemoResult): Report {
  const { events } = stage.story;
  return {
    format: 'lifeboat-report/1',
    ...{ kind: 'failover', title: 'A switchover, a dead primary, and the way back', source: SOURCE },
    run: `${workflowId.failover(SERVICE)}, ${workflowId.rejoin(SERVICE)}, ${workflowId.failback(SERVICE)}`,
    outcome: ok ? 'proven' : 'failed',
    ...{ startedAt: events[0]?.at ?? '', finishedAt: events.at(-1)?.at ?? '' },
    ...{ events, spans: [], series: [], links: [] },
    sections: sectionsOf({ stage, ...acts }),
  };
}

/** All of it small, and what matters of it large. */
function besideOf({ stage, planned, unplanned, home }: FailoverOutcome, result: FailoverDemoResult): Beside {
  const gaps = [planned.gap, unplanned.gap, home.gap];
  return {
    figures: figuresOf(result, home),
    pictures: [
      { title: 'All of it', ...pictureOf(stage, gaps) },
      { title: 'Planned: they change places', ...closeUp(stage, planned.gap, gaps) },
      { title: 'Unplanned: the primary dies', ...closeUp(stage, unplanned.gap, gaps) },
      { title: 'Failback: the way home', ...closeUp(stage, home.gap, gaps) },
    ],
  };
}

function figuresOf(
  { planned, unplanned, failback, writersMax }: FailoverDemoResult,
  home: Shown,
): NonNullable<Beside['figures']> {
  return [
    { value: String(planned.lost), label: 'acknowledged orders lost, planned', bad: planned.lost > 0 },
    { value: spanText(planned.outageMs), label: 'nobody was served, planned' },
    {
      value: `${unplanned.lostMeasured} of at most ${unplanned.lostQuoted}`,
      label: 'acknowledged orders lost, unplanned, and quoted before',
      bad: unplanned.lostMeasured > unplanned.lostQuoted,
    },
    { value: spanText(unplanned.outageMs), label: 'nobody was served, unplanned: noticed, decided, approved' },
    { value: String(failback.lost), label: 'acknowledged orders lost, failback', bad: failback.lost > 0 },
    { value: spanText(msOf(home.gap)), label: 'nobody was served, failback' },
    { value: String(writersMax), label: 'servers that took writes at once, at most', bad: writersMax !== 1 },
  ];
}

function sectionsOf({ stage, planned, unplanned, back, home }: FailoverOutcome): ReportSection[] {
  const { loss, lost: tail, fence = [] } = unplanned.result;
  const { path, why, salvage } = back.result;
  const runs: [string, { name: string; ms: number }[]][] = [
    ['Planned switchover', planned.result.steps],
    ['Unplanned failover', unplanned.result.steps],
    ['Rejoin', back.result.steps],
    ['Failback', home.result.failover.steps],
  ];
  return [
    {
      title: 'What is lost when the primary dies',
      head: ['', ''],
      rows: [
        ...(loss ? [['quoted before the promotion', describeLoss(loss)]] : []),
        ...(tail ? [['measured in the files of the old primary', describeTail(tail)]] : []),
        ['counted by the clients', `${unplanned.lostIds.size} acknowledged orders`],
        ...(salvage ? [['kept in the vault', `${salvage.commits} commits, ${salvage.keys.join(', ')}`]] : []),
        ...fence.map(({ step, outcome, found }) => [`fence: ${step}`, `${outcome}: ${found}`]),
        ['way back', [path, ...why].join('; ')],
      ],
    },
    {
      title: 'Who took writes, by a probe of its own',
      head: ['server', 'from', 'to'],
      rows: stage.probe.spans.map(({ node, fromMs, toMs }) => [node, isoOf(fromMs), isoOf(toMs)]),
    },
    ...approvalsOf([planned, unplanned, back, home]),
    ...runs.map(([title, steps]) => ({
      title: `${title}, step by step`,
      head: ['step', 'took'],
      rows: steps.map(({ name, ms }) => [name, spanText(ms)]),
    })),
  ];
}

function approvalsOf(acts: readonly Played<unknown>[]): ReportSection[] {
  const rows = acts.flatMap(({ pending }) =>
    pending ? pending.evidence.facts.map(({ name, value }) => [pending.what, name, value]) : [],
  );
  return [{ title: 'What Anna ordered, and what Ben was shown', head: ['', 'fact', ''], rows }];
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** The result for a person. */
export function outcomeLines(result: FailoverDemoResult, { stage }: FailoverOutcome): string[] {
  const { planned, unplanned, failback, writersMax, report, ok } = result;
  return [
    '',
    `planned    ${planned.lost} of the acknowledged orders lost, nobody served for ${spanText(planned.outageMs)}`,
    `unplanned  ${unplanned.lostMeasured} lost, at most ${unplanned.lostQuoted} quoted before; nobody served for ${spanText(unplanned.outageMs)}, with noticing and the approval`,
    `rejoin     ${failback.path}`,
    `failback   ${failback.lost} lost`,
    `writers    ${writersMax} at once at most, in ${stage.probe.looks} looks of 50 ms`,
    `report     ${report}`,
    ok
      ? 'Nothing was lost that was not said before, and one server at a time took writes.'
      : 'NOT PROVEN: see the report.',
  ];
}
