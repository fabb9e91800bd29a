import type { Approval, Evidence } from './approval.ts';
import type { FailoverMode, WalTail } from './cluster.ts';
import type { FailoverPlan, Following, Promotion, ZeroLossProof } from './failover.ts';
import type { Loss } from './failover-loss.ts';
import type { FenceResult } from './failover-verdict.ts';
import type { FailoverDrillMeasurement } from './failover-drill.ts';
import type { FailureFacts } from './failure.ts';
import type { CopyReach } from './reachable-map.ts';
import type { Check, RestoreResult } from './recovery.ts';
import type { MovedTraffic } from './results.ts';

export const TONES = ['good', 'bad', 'work', 'wait', 'mark'] as const;
export type Tone = (typeof TONES)[number];

/** What a run was about. */
export const REPORT_KINDS = [
  ...(['restore', 'drill', 'recover', 'rescue', 'failover', 'rejoin', 'failback'] as const),
  ...(['failover-drill', 'demo'] as const),
] as const;
export type ReportKind = (typeof REPORT_KINDS)[number];

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

/** A table of its own: moves of traffic, rows that differ. */
export interface ReportSection {
  title: string;
  head: string[];
  rows: string[][];
}

/** One step of a run, in the order in which they ended. */
export interface ReportStep {
  name: string;
  from: string;
  to: string;
  ms: number;
  /** How long the same step took in earlier runs that ended well; absent: there is none. Put in by whoever writes the report. */
  before?: StepHistory;
}

export interface StepHistory {
  runs: number;
  medianMs: number;
  longestMs: number;
}

/** Time in which nobody was served. */
export interface ReportOutage {
  from: string;
  /** Absent: it was not over when the report was written. */
  to?: string;
  ms?: number;
}

/** The clock of a run: what it may take, and what it took. */
export interface ReportClock {
  objectiveMs: number;
  /** From its start until clients were served, or until it was over. */
  elapsedMs: number;
  /** At 75 % people were told, at 100 % they were told louder. */
  warned: boolean;
  escalated: boolean;
}

/** How a service came by another primary, or a node back to it; what is not known is absent. */
export interface ServiceChange {
  service: string;
  /** Who started it. */
  by: string;
  mode?: FailoverMode;
  /** Names of nodes: the primary that was, and the one that becomes it. */
  from?: string;
  to?: string;
  /** Number of the run, by which every move of it is told from one that is late. */
  epoch?: number;
  /** When the primary was last seen to serve, as whoever started it said. */
  lastSeen?: string;
  /** Why the rules were to be broken, as whoever started it said. */
  breakGlass?: string;
  plan?: FailoverPlan;
  /** SHA-256 of the plan as canonical JSON (RFC 8785). Put in by whoever writes the report. */
  planHash?: string;
  /** Of all that the configuration said about the service. */
  configHash?: string;
  checks?: Check[];
  /** What was shown to those who approved, and the hash that their approvals name. */
  evidence?: Evidence;
  approvals?: Approval[];
  /** Rung by rung. */
  fence?: FenceResult[];
  zeroLoss?: ZeroLossProof;
  /** As it was quoted before the promotion. */
  loss?: Loss;
  /** As it was measured behind it. */
  lost?: WalTail;
  promotion?: Promotion;
  /** Those that follow the new primary, or should. */
  followers?: Following[];
  traffic?: MovedTraffic[];
}

/** Everything that a report shows, of a real run and of a drill alike: plain data, so that HTML, Markdown and JSON say the same. docs/report.md. */
export interface Report {
  format: 'lifeboat-report/1';
  kind: ReportKind;
  /** A rehearsal: nobody was served by it. */
  drill?: true;
  title: string;
  source: string;
  /** Workflow id and run id. */
  run: string;
  outcome: 'proven' | 'failed';
  startedAt: string;
  finishedAt: string;
  result?: RestoreResult;
  failure?: FailureFacts & { type: string; message: string };
  /** Measured: target (or disaster) minus the newest commit that was recovered, milliseconds; 0: nothing was lost, which is proven. */
  rpoMs?: number;
  rpoObjectiveMs?: number;
  rto?: ReportClock;
  outage?: ReportOutage;
  change?: ServiceChange;
  oracle?: OracleCount;
  sections?: ReportSection[];
  steps?: ReportStep[];
  /** What a failover drill took; it is kept beside the page. */
  failoverDrill?: FailoverDrillMeasurement;
  /** What is left for people to do, in this order. */
  next?: string[];
  /** So many events came before the first one: of a run that had more than it keeps. */
  eventsBefore?: number;
  events: ReportEvent[];
  spans: ReportSpan[];
  series: ReportSeries[];
  links: { label: string; url: string }[];
  /** What could be restored when the report was written. Put in by whoever writes it, as are the next two. */
  reach?: CopyReach[];
  /** Version of Lifeboat. */
  tool?: string;
  /** Host that wrote it. */
  host?: string;
}
