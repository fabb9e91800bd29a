import type { Report, ReportEvent, ReportSpan } from '../../workflows/model/report.ts';
import { spanText } from './text.ts';
import type { Picture } from './timeline-svg.ts';

/** A run as it is drawn: what is a bar is no mark as well, and what the report knows beside its events has lanes of its own. */
export function pictureOfRun(report: Report): Picture {
  const { startedAt, finishedAt, series, spans } = report;
  const begun = new Set(spans.map(({ from, label }) => `${from} ${label}`));
  const marks = report.events.filter(({ at, what }) => !begun.has(`${at} ${what}`));
  return {
    ...{ startedAt, finishedAt, series },
    spans: [...outageSpans(report), ...spans, ...clockSpans(report)],
    events: [...marks, ...approvalMarks(report)],
  };
}

function outageSpans({ outage, finishedAt }: Report): ReportSpan[] {
  if (!outage) return [];
  const label = outage.ms === undefined ? 'nobody is served' : `nobody served, ${spanText(outage.ms)}`;
  return [{ lane: 'service', label, from: outage.from, to: outage.to ?? finishedAt, tone: 'bad' }];
}

function clockSpans({ rto, startedAt }: Report): ReportSpan[] {
  if (!rto) return [];
  const { elapsedMs, objectiveMs } = rto;
  const to = new Date(Date.parse(startedAt) + elapsedMs).toISOString();
  const label = `${spanText(elapsedMs)} of ${spanText(objectiveMs)}`;
  return [{ lane: 'RTO', label, from: startedAt, to, tone: elapsedMs <= objectiveMs ? 'good' : 'bad' }];
}

function approvalMarks({ change }: Report): ReportEvent[] {
  return (change?.approvals ?? []).map(({ by, at }) => ({
    ...{ at, lane: 'approval', what: `approved by ${by}`, tone: 'good' as const },
  }));
}
