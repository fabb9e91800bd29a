import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import { failureFacts, failureTypeOf } from '../model/failure.ts';
import type { RestoreResult, StoredReport } from '../model/recovery.ts';
import { PHASES } from '../model/recovery.ts';
import type { Report, ReportSection, ReportSpan } from '../model/report.ts';
import type { SourceFacts } from '../model/results.ts';
import { hostQueue } from '../model/names.ts';
import { quick } from '../options.ts';
import { messageOf } from './conclude.ts';
import type { Journal } from './journal.ts';
import { isoNow } from './time.ts';

export interface Reporting {
  kind: keyof typeof TITLES;
  journal: Journal;
  facts: SourceFacts;
  result?: RestoreResult;
  /** It has ended well although nothing was restored. */
  done?: true;
  error?: unknown;
  rpoMs?: number;
  sections?: ReportSection[];
  /** Instead of the phases of a recovery. */
  spans?: ReportSpan[];
}

const TITLES = {
  ...{ restore: 'Restore', drill: 'Recovery drill', recover: 'Recovery', rescue: 'Rescue of rows' },
  ...{ failover: 'Failover', rejoin: 'Rejoin', failback: 'Failback' },
} as const;

/**
 * Writes the report of a run. What it is about is over: a cancellation comes too late for it, and a report that cannot be
 * written is noted and is no reason to fail.
 */
export async function report(use: Reporting): Promise<StoredReport | undefined> {
  const { result, journal } = use;
  const queue = result ? { taskQueue: hostQueue(result.plan.host) } : {};
  try {
    const acts = quick({ summary: 'write the report', ...queue });
    return await CancellationScope.nonCancellable(() => acts.writeReport(reportOf(use)));
  } catch (error) {
    journal.note(`no report: ${messageOf(error)}`);
    return undefined;
  }
}

function reportOf(use: Reporting): Report {
  const { kind, journal, facts, result, error, rpoMs, sections } = use;
  const isWell = (result !== undefined || use.done === true) && error === undefined;
  const { workflowId, runId } = workflowInfo();
  const { progress } = journal;
  const type = failureTypeOf(error) ?? 'Bug';
  return {
    format: 'lifeboat-report/1',
    kind,
    title: `${TITLES[kind]} of ${facts.source}`,
    source: facts.source,
    run: `${workflowId} ${runId}`,
    outcome: isWell ? 'proven' : 'failed',
    startedAt: progress.startedAt,
    finishedAt: isoNow(),
    ...(result ? { result } : {}),
    ...(isWell ? {} : { failure: { ...failureFacts(error), type, message: messageOf(error) } }),
    ...(sections && sections.length > 0 ? { sections } : {}),
    ...(rpoMs === undefined ? {} : { rpoMs }),
    ...(facts.rpoMs === undefined ? {} : { rpoObjectiveMs: facts.rpoMs }),
    events: progress.timeline.map(({ at, what }) => ({ at, lane: 'run', what, tone: 'mark' })),
    spans: use.spans ?? spansOf(journal),
    series: [],
    links: [],
  };
}

/** One bar a phase, each from the moment its step began. */
function spansOf({ progress }: Journal): Report['spans'] {
  return PHASES.flatMap((phase) => {
    const began = progress.timeline.find(({ what }) => what === phase)?.at;
    const ms = progress.phases?.[phase];
    if (began === undefined || ms === undefined) return [];
    const to = new Date(Date.parse(began) + ms).toISOString();
    return [{ lane: 'recovery', label: phase, from: began, to, tone: 'work' as const }];
  });
}
