import type { FailureFacts } from './failure.ts';
import type { RestoreResult } from './recovery.ts';

export type Tone = 'good' | 'bad' | 'work' | 'wait' | 'mark';

/** A moment on the picture. Times are ISO 8601 UTC everywhere in a report. */
export interface ReportEvent {
  at: string;
  lane: string;
  what: string;
  tone: Tone;
}

/** Something that lasted. */
export interface ReportSpan {
  lane: string;
  label: string;
  from: string;
  to: string;
  tone: Tone;
}

/** A measured curve on the picture, like orders acknowledged per second. */
export interface ReportSeries {
  lane: string;
  label: string;
  points: { at: string; value: number }[];
}

/** What an oracle outside of Lifeboat counted: rows the database had acknowledged up to the target. */
export interface OracleCount {
  acknowledged: number;
  found: number;
  extra: number;
}

/** A table of its own: approvals, moves of traffic, rows that differ. */
export interface ReportSection {
  title: string;
  head: string[];
  rows: string[][];
}

/** Everything a report shows: plain data, so that HTML, JSON and later forms say the same. */
export interface Report {
  format: 'lifeboat-report/1';
  kind: 'restore' | 'drill' | 'recover' | 'rescue' | 'failover' | 'rejoin' | 'failback' | 'demo';
  title: string;
  source: string;
  /** Workflow id and run id. */
  run: string;
  outcome: 'proven' | 'failed';
  startedAt: string;
  finishedAt: string;
  result?: RestoreResult;
  failure?: FailureFacts & { type: string; message: string };
  /** Measured: target (or disaster) minus the newest commit that was recovered, milliseconds. */
  rpoMs?: number;
  rpoObjectiveMs?: number;
  oracle?: OracleCount;
  sections?: ReportSection[];
  events: ReportEvent[];
  spans: ReportSpan[];
  series: ReportSeries[];
  links: { label: string; url: string }[];
}
