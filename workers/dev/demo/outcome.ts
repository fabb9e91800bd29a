import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { renderHtml } from '../../../activities/report/index.ts';
import type { RestoreResult } from '../../../workflows/model/recovery.ts';
import { PHASES } from '../../../workflows/model/recovery.ts';
import type { OracleCount, Report, ReportSpan } from '../../../workflows/model/report.ts';
import { formatDuration } from '../../../workflows/model/units.ts';
import type { Disaster } from './orders.ts';
import type { Story } from './story.ts';
import { RPO_MS, SOURCE } from './world.ts';

export interface Outcome {
  story: Story;
  restore: RestoreResult;
  run: string;
  disaster: Disaster;
  oracle: OracleCount;
  /** Time of each acknowledged order, milliseconds. */
  acknowledgedAtMs: readonly number[];
  restoreStartedMs: number;
  links: Report['links'];
  workerKilled: boolean;
}

/** The line for a program. */
export interface DemoResult {
  ok: boolean;
  rtoMs: number;
  phases: RestoreResult['phases'];
  rpoMs: number;
  acknowledged: number;
  found: number;
  extra: number;
  workerKilled: boolean;
  report: string;
}

/** Orders that had been acknowledged before the disaster, against the orders that came back. */
export function countOrders(acknowledged: ReadonlySet<string>, recovered: readonly string[]): OracleCount {
  const found = recovered.filter((id) => acknowledged.has(id)).length;
  return { acknowledged: acknowledged.size, found, extra: recovered.length - found };
}

/** From the newest commit that came back to the disaster. */
function rpoMsOf({ restore, disaster }: Outcome): number {
  const lastCommitAt = restore.replay?.lastCommitAt;
  return lastCommitAt === undefined ? 0 : Math.max(0, Date.parse(disaster.at) - Date.parse(lastCommitAt));
}

export async function concludeDemo(outcome: Outcome, folder: string): Promise<DemoResult> {
  const { restore, oracle, workerKilled } = outcome;
  const page = renderHtml(reportOf(outcome));
  await mkdir(folder, { recursive: true });
  const report = resolve(join(folder, `demo-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}.html`));
  await writeFile(report, page);
  const whole = oracle.found === oracle.acknowledged && oracle.extra === 0 && oracle.acknowledged > 0;
  return {
    ok: whole && restore.proof.ok && workerKilled,
    ...{ rtoMs: restore.rtoMs, phases: restore.phases, rpoMs: rpoMsOf(outcome) },
    ...{ ...oracle, workerKilled, report },
  };
}

function reportOf(outcome: Outcome): Report {
  const { story, restore, run, oracle, links } = outcome;
  const proven = restore.proof.ok && oracle.found === oracle.acknowledged && oracle.extra === 0;
  return {
    format: 'lifeboat-report/1',
    ...{ kind: 'demo', title: 'A DELETE without WHERE, and back', source: SOURCE, run },
    outcome: proven ? 'proven' : 'failed',
    startedAt: story.events[0]?.at ?? '',
    finishedAt: story.events.at(-1)?.at ?? '',
    ...{ result: restore, rpoMs: rpoMsOf(outcome), rpoObjectiveMs: RPO_MS, oracle, events: story.events, links },
    spans: phaseSpans(outcome),
    series: [
      { lane: 'database', label: 'orders acknowledged per second', points: perSecond(outcome.acknowledgedAtMs) },
    ],
  };
}

function phaseSpans({ restore, restoreStartedMs }: Outcome): ReportSpan[] {
  let at = restoreStartedMs;
  return PHASES.map((phase) => {
    const from = new Date(at).toISOString();
    at += restore.phases[phase];
    return { lane: 'recovery', label: phase, from, to: new Date(at).toISOString(), tone: 'work' as const };
  });
}

function perSecond(timesMs: readonly number[]): { at: string; value: number }[] {
  const counts = new Map<number, number>();
  for (const ms of timesMs) counts.set(Math.floor(ms / 1000), (counts.get(Math.floor(ms / 1000)) ?? 0) + 1);
  const seconds = [...counts.keys()];
  const [first = 0, last = -1] = [Math.min(...seconds), Math.max(...seconds)];
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    at: new Date((first + index) * 1000).toISOString(),
    value: counts.get(first + index) ?? 0,
  }));
}

/** The result for a person. */
export function outcomeLines(result: DemoResult, restore: RestoreResult): string[] {
  const { rtoMs, phases, rpoMs, acknowledged, found, extra } = result;
  const good = restore.proof.checks.filter((check) => check.ok).length;
  return [
    '',
    `RTO      ${formatDuration(rtoMs)}: ${PHASES.map((phase) => `${phase} ${formatDuration(phases[phase])}`).join(', ')}`,
    `RPO      ${formatDuration(rpoMs)} between the newest order that came back and the DELETE`,
    `orders   acknowledged ${acknowledged}, found ${found}, extra ${extra}`,
    `proof    ${good} of ${restore.proof.checks.length} checks, ${restore.proof.relations} relations, ${restore.proof.rows} rows`,
    `report   ${result.report}`,
    result.ok ? 'Everything the database had acknowledged is back.' : 'NOT PROVEN: see the report.',
  ];
}
