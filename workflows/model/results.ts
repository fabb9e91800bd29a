import type { ContentsPage } from './contents.ts';
import type { FailoverDrillMeasurement } from './failover-drill.ts';
import type { FailureFacts, FailureType } from './failure.ts';
import type { RtoForecast } from './forecast.ts';
import type { Approval, Evidence } from './approval.ts';
import type { LastGood, LostCommits } from './last-good.ts';
import type { EscalationStep, NotifierFacts } from './notice.ts';
import type { PointSummary } from './manifest.ts';
import type { CopyReach } from './reachable-map.ts';
import type { Check, ReachableWindow, RecoveryPlan, RestoreResult, StoredReport } from './recovery.ts';
import type { Scenario } from './orders.ts';
import type { Target } from './target.ts';
import type { ApprovalRule } from './service.ts';
import type { Traffic } from './traffic.ts';
import type { WalStatus } from './wal.ts';

/**
 * What the workflows answer. `backup` answers a BackupResult, `restore` a RestoreResult or, for a preview, a
 * RestorePreview; `wal` runs until it is cancelled.
 */

/** What a run needs to know of its source; names and limits, no secrets. */
export interface SourceFacts {
  source: string;
  kind: string;
  /** Address of the source, for people. */
  place: string;
  store: string;
  /** Its points are dumps, whole and of one moment: it has no WAL. */
  dumps?: true;
  /** Objectives, milliseconds; absent when none is declared. */
  rtoMs?: number;
  rpoMs?: number;
  /** A hole in the WAL orders a new base by itself; absent: a version that could not. */
  newBaseAfterHole?: boolean;
  /** Host of the worker that takes its WAL; absent: any worker can. */
  walHost?: string;
  /** Who has to agree before rows are written into it; absent: a version that could not. */
  approval?: ApprovalRule;
  /** How many streams bring it; absent: one. */
  walStreams?: number;
  /** Hosts of the workers that stream, one for each; absent: any worker can. */
  walHosts?: string[];
  /** Somebody wants to be told. */
  notify: boolean;
  /** Who, and of what; absent: a version that told everybody everything at once. */
  notifiers?: NotifierFacts[];
  /** Who is told of a P1 that nobody acknowledges. */
  escalation?: EscalationStep[];
  /** The namespace knows our search attributes. */
  searchAttributes: boolean;
}

/** A moment that recovery can stop at. */
export interface Moment {
  /** ISO 8601 UTC with microseconds. */
  at: string;
  timeline: number;
}

/** The published point, and how long a restore will take until the next one comes; absent when that is not known. */
export interface BackupResult extends PointSummary {
  forecast?: RtoForecast;
}

/** What would be restored, and what else could be; nothing was touched. */
export interface RestorePreview {
  preview: true;
  plan: RecoveryPlan;
  /** All that is reachable, oldest first. */
  windows: ReachableWindow[];
  /** Newest reachable moment at or before the target and oldest one after it, for a target that is a time. */
  nearest: { before?: Moment; after?: Moment };
  /** What a person should know before saying yes. */
  notes: string[];
}

export interface Objective {
  name: 'rto' | 'rpo';
  objectiveMs: number;
  measuredMs: number;
  ok: boolean;
}

/** A drill that proved the recovery; one that did not fails with the evidence, after it cleaned up. */
export interface DrillResult {
  target: Target;
  restore: RestoreResult;
  rtoMs: number;
  /** What would have been lost had the source died when the drill began: age of the newest commit in the vault. */
  rpoMs?: number;
  /** Those of the source; empty when it declares none. */
  objectives: Objective[];
  report?: StoredReport;
  /** True when the scratch copy was removed. */
  cleaned: boolean;
}

/** A switch that was moved. */
export interface MovedTraffic {
  name: string;
  /** Where it sent traffic when the run began. */
  from: Traffic;
  to: Traffic;
  /** What was seen from outside. */
  found: string;
}

/** A source that is recovered, proven, and serves its clients again. */
export interface RecoverResult {
  scenario: Scenario;
  service: string;
  restore: RestoreResult;
  /** "host:port" of the recovered cluster, as clients reach it. */
  address: string;
  traffic: MovedTraffic[];
  approvals: Approval[];
  evidence: Evidence;
  /** Of the moves. */
  epoch: number;
  /** From the start of the run to the last move. */
  rtoMs: number;
  /** From the moment traffic was stopped to the first that served again. */
  stoppedMs: number;
  /** Of the service, when all traffic had moved. */
  checks: Check[];
  report?: StoredReport;
  /** corruption: the moment that was found, the copy of the damaged state, and what came after that moment. */
  lastGood?: LastGood;
  forensicPoint?: string;
  lost?: LostCommits;
  /** What a person does now. */
  next: string[];
}

export interface VerifyResult {
  point: PointSummary;
  /** Parts read and compared, bytes before and after decompression. */
  parts: number;
  bytes: number;
  storedBytes: number;
  checks: Check[];
}

/** What a Schedule's run did. */
export type ScheduledResult =
  | { outcome: 'started'; workflowId: string; runId: string }
  | { outcome: 'skipped'; workflowId: string; reason: string };

export interface SourcePoints {
  source: string;
  points: PointSummary[];
  /** Copies that are evidence, and no backups; absent when there is none. */
  forensic?: PointSummary[];
  damaged: { point: string; reason: string }[];
}

export interface PointDetails {
  summary: PointSummary;
  identity: { kind: string; systemId: string; serverVersion: number; timeline: number };
  pageChecksums: boolean;
  settings: Record<string, string>;
  trees: { id: string; location?: string; files: number; bytes: number }[];
  /** Points that it takes to restore it, from the full one to itself. */
  chain?: string[];
  /** Why those are not all there. */
  broken?: string;
  /** Whether the WAL that makes it consistent is in the vault. */
  walComplete: boolean;
  windows: ReachableWindow[];
  /** Of a dump. */
  databases?: DumpedDatabaseFacts[];
}

export interface DumpedDatabaseFacts {
  name: string;
  tables: number;
  rows: number;
  /** Of its tables on the source's disk. */
  bytes: number;
  largeObjects: number;
  extensions: string[];
}

export interface WalAnswer extends WalStatus {
  windows: ReachableWindow[];
}

export interface SourceForecast {
  source: string;
  /** Absent: nothing can be restored. */
  forecast?: RtoForecast;
  /** Why there is none. */
  reason?: string;
  /** The newest of each service that stands on it. */
  failoverDrills?: FailoverDrillMeasurement[];
}

export interface DoctorCheck {
  /** "store local", "source shop", "keys", "worker" */
  scope: string;
  name: string;
  ok: boolean;
  found: string;
  hint?: string;
}

/** What became of a message that was sent to try a notifier. */
export interface NotifierTrial {
  name: string;
  kind: string;
  /** Whom it reaches, without secrets. */
  whom: string;
  /** Why it was not told. */
  failed?: FailureFacts & { type: FailureType; message: string };
}

/** One answer for each question of InspectOrder. */
export type InspectAnswer =
  | { what: 'points'; sources: SourcePoints[] }
  | { what: 'point'; point: PointDetails }
  | { what: 'wal'; wal: WalAnswer }
  | { what: 'reachable'; source: string; copies: CopyReach[] }
  | { what: 'contents'; page: ContentsPage }
  | { what: 'forecast'; sources: SourceForecast[] }
  | { what: 'notifiers'; host: string; trials: NotifierTrial[] }
  | { what: 'doctor'; host: string; ok: boolean; checks: DoctorCheck[] }
  | { what: 'catalog-rebuild'; sources: { source: string; points: number; damaged: number; key: string }[] };
