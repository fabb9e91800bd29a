import { CancellationScope, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { FailoverDrillMeasurement } from '../model/failover-drill.ts';
import { failureFacts, failureTypeOf } from '../model/failure.ts';
import type { RestoreResult, StoredReport } from '../model/recovery.ts';
import { PHASES } from '../model/recovery.ts';
import type {
  Report,
  ReportEvent,
  ReportOutage,
  ReportSection,
  ReportSpan,
  ReportStep,
  ServiceChange,
  Tone,
} from '../model/report.ts';
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
  /** Instead of that of the source. */
  rpoObjectiveMs?: number;
  sections?: ReportSection[];
  /** Instead of the phases of a recovery. */
  spans?: ReportSpan[];
  steps?: ReportStep[];
  change?: ServiceChange;
  outage?: ReportOutage;
  failoverDrill?: FailoverDrillMeasurement;
  /** From the start until clients were served; absent: until now. */
  servedAfterMs?: number;
  /** What people do now. */
  next?: string[];
}

const TITLES = {
  ...{ restore: 'Restore', drill: 'Recovery drill', recover: 'Recovery', rescue: 'Rescue of rows' },
  ...{ failover: 'Failover', rejoin: 'Rejoin', failback: 'Failback', 'failover-drill': 'Failover drill' },
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
    const stored = await CancellationScope.nonCancellable(() => acts.writeReport(reportOf(use)));
    // A run that failed answers nothing else that leads to it.
    if (use.error !== undefined) journal.note(`report: ${stored.file} on host ${stored.host}`);
    return stored;
  } catch (error) {
    journal.note(`no report: ${messageOf(error)}`);
    return undefined;
  }
}

function reportOf(use: Reporting): Report {
  const { kind, journal, facts, result, error } = use;
  const isWell = (result !== undefined || use.done === true) && error === undefined;
  const { workflowId, runId } = workflowInfo();
  const { progress } = journal;
  return {
    format: 'lifeboat-report/1',
    kind,
    ...(kind.endsWith('drill') ? { drill: true } : {}),
    title: `${TITLES[kind]} of ${use.change?.service ?? facts.source}`,
    source: facts.source,
    run: `${workflowId} ${runId}`,
    outcome: isWell ? 'proven' : 'failed',
    startedAt: progress.startedAt,
    finishedAt: isoNow(),
    ...(result ? { result } : {}),
    ...(isWell ? {} : { failure: failureOf(error) }),
    ...knownOf(use),
    ...(journal.eventsBefore > 0 ? { eventsBefore: journal.eventsBefore } : {}),
    events: progress.timeline.map(({ at, what }): ReportEvent => ({ at, lane: 'run', what, tone: toneOf(what) })),
    spans: use.spans ?? spansOf(journal),
    series: [],
    links: [],
  };
}

function failureOf(error: unknown): NonNullable<Report['failure']> {
  const type = isCancellation(error) ? 'Cancelled' : (failureTypeOf(error) ?? 'Bug');
  return { ...failureFacts(error), type, message: messageOf(error) };
}

/** What only some reports have. */
function knownOf(use: Reporting): Partial<Report> {
  const { journal, facts, sections, steps, change, outage, rpoMs, failoverDrill } = use;
  const { rto, attention } = journal.progress;
  const told = use.next ?? [];
  const isTold = attention === undefined || told.join('; ').includes(attention);
  const next = isTold ? told : [attention, ...told];
  const rpoObjectiveMs = use.rpoObjectiveMs ?? facts.rpoMs;
  const known = { steps, change, outage, rpoMs, rpoObjectiveMs, failoverDrill };
  return {
    ...(Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) as Partial<Report>),
    ...(rto ? { rto: { ...rto, elapsedMs: use.servedAfterMs ?? use.result?.rtoMs ?? journal.elapsedMs() } } : {}),
    ...(sections && sections.length > 0 ? { sections } : {}),
    ...(next.length > 0 ? { next } : {}),
  };
}

const TONES: [RegExp, Tone][] = [
  [/^(?:failed|cancelled|attention|not done|no report)\b|is missed$/, 'bad'],
  [/^point of no return$|of the RTO of/, 'wait'],
  [/^(?:done|back to normal)$/, 'good'],
];

function toneOf(what: string): Tone {
  return TONES.find(([form]) => form.test(what))?.[1] ?? 'mark';
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
