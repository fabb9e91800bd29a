import type { Approval, Evidence } from './approval.ts';
import type { FailoverMode, WalTail } from './cluster.ts';
import type { Loss } from './failover-loss.ts';
import type { FenceResult } from './failover-verdict.ts';
import { findFailure } from './failure.ts';
import type { Lsn } from './lsn.ts';
import type { Check, StoredReport } from './recovery.ts';
import type { MovedTraffic } from './results.ts';

/** Input of the workflow `failover`. */
export interface FailoverOrder {
  service: string;
  /** Site, or name of the node, that becomes the primary. */
  to: string;
  mode: FailoverMode;
  /** Who starts it; they cannot approve it alone. */
  by: string;
  /** Only look, and say what would happen. */
  dryRun?: boolean;
  /** unplanned: when the primary was last seen to serve, ISO 8601; what it may have written since its last sample is counted to there. Default: now. */
  since?: string;
  /** Why a promotion against the rules is wanted, should it come to one. */
  breakGlass?: string;
}

/** One step of a plan, as it is shown before anything happens. */
export interface PlanStep {
  what: string;
  /** What takes it back; absent: nothing has to, or nothing can. */
  undo?: string;
  /** Behind this step there is only forward. */
  pointOfNoReturn?: true;
}

export interface FailoverPlan {
  service: string;
  mode: FailoverMode;
  from: string;
  to: string;
  steps: PlanStep[];
}

/** That nothing of what the old primary had written is missing in the new one. */
export interface ZeroLossProof {
  /** Timeline that both were on. */
  timeline: number;
  /** First byte behind the shutdown record of the old primary. */
  shutdownEndLsn: Lsn;
  /** What the candidate had received before it was promoted. */
  receivedLsn: Lsn;
  /** Where the new timeline begins. */
  forkLsn: Lsn;
  newTimeline: number;
  ok: boolean;
}

/** What promotion left behind. */
export interface Promotion {
  node: string;
  timeline: number;
  /** The timeline that was left, and where. */
  oldTimeline: number;
  forkLsn: Lsn;
  at: string;
  /** synchronous_standby_names that it had brought along, and that nobody answers to: it was emptied. */
  waitedFor?: string;
}

/** What a failure of a promotion says when the server was not asked to be promoted. */
export interface NotAsked {
  notAsked: true;
}

/** What a failure says when a newer run has been there: this one must not move anything any more. */
export interface Overtaken {
  overtaken: true;
}

export function wasOvertaken(error: unknown): boolean {
  const evidence = findFailure(error)?.details?.[1] as Partial<Overtaken> | undefined;
  return evidence?.overtaken === true;
}

/** Nothing was promoted, so that there still is a way back. */
export function wasNotAsked(error: unknown): boolean {
  const evidence = findFailure(error)?.details?.[1] as Partial<NotAsked> | undefined;
  return evidence?.notAsked === true;
}

/** A server that follows, by everything that tells a real standby from one that only says so. */
export interface Following {
  node: string;
  ok: boolean;
  checks: Check[];
  /** Sessions of clients that are there: at an old primary they came by an old address, and can only read. */
  clients?: number;
}

/** Whether a standby was told to follow another primary, and what it is told instead. */
export interface Repointed {
  ok: boolean;
  found: string;
}

/** What was looked at, and what would be done; nothing was touched. */
export interface FailoverPreview {
  preview: true;
  plan: FailoverPlan;
  ok: boolean;
  checks: Check[];
}

export interface FailoverResult {
  service: string;
  mode: FailoverMode;
  from: string;
  to: string;
  /** "host:port" where clients are now. */
  address: string;
  epoch: number;
  evidence?: Evidence;
  approvals: Approval[];
  promotion: Promotion;
  /** planned */
  zeroLoss?: ZeroLossProof;
  /** unplanned: as it was quoted before. */
  loss?: Loss;
  /** unplanned: measured behind it, where the old primary's worker was there to look. */
  lost?: WalTail;
  fence?: FenceResult[];
  traffic: MovedTraffic[];
  /** From the stop of the traffic to the first moment at which all of it had moved. */
  outageMs: number;
  /** From the start of the run to then. */
  rtoMs: number;
  /** Durations of the steps, in their order. */
  steps: { name: string; ms: number }[];
  checks: Check[];
  /** The old primary follows the new one; absent: it was not tried. */
  rejoined?: Following;
  /** The other standbys, each with what shows that it follows; absent: there are none. */
  others?: Following[];
  report?: StoredReport;
  /** What a person does now. */
  next: string[];
}
