import type { FailoverPlan, Promotion } from './failover.ts';
import type { Lsn } from './lsn.ts';
import type { Check, StoredReport } from './recovery.ts';
import type { Objective } from './results.ts';
import type { Traffic } from './traffic.ts';
import { formatDuration } from './units.ts';

/** Input of the workflow `failoverDrill`. */
export interface FailoverDrillOrder {
  service: string;
  /** Site, or name of the node, whose clone is promoted; default: the standby of the plan. */
  to?: string;
  /** Who starts it; absent: a Schedule. */
  by?: string;
}

/** A copy of a standby that is thrown away. */
export interface CloneMade {
  /** Folder on the standby's host in which all of it stands. */
  folder: string;
  /** Of the databases that were copied. */
  bytes: number;
}

/** What keeps a clone from production, and what was tried to show that it does. */
export interface Isolation {
  /** namespace: a network of its own, with nothing in it. settings: it has no address and follows nobody; its host has a network. */
  by: 'namespace' | 'settings';
  /** As Linux names it: "net:[4026532281]". */
  namespace?: string;
  checks: Check[];
}

export interface CloneStarted {
  isolation: Isolation;
  /** What it had replayed when it took sessions. */
  lsn: Lsn;
  timeline: number;
}

/** That nothing of a clone is left. */
export interface CloneRemoved {
  checks: Check[];
}

/** What a drill took, milliseconds. */
export interface FailoverDrillPhases {
  copy: number;
  start: number;
  /** Until it had left recovery. */
  promote: number;
  /** From the word to promote to the first write that it acknowledged. */
  firstWrite: number;
  /** From the word to promote until every check had passed. */
  ready: number;
  remove: number;
}

/** What a drill took that has passed; kept in the vault, docs/format.md "Failover drills". */
export interface FailoverDrillMeasurement {
  format: 'lifeboat-failover-drill/1';
  service: string;
  /** Whose clone was promoted. */
  node: string;
  run: string;
  /** When it was over, ISO 8601 UTC. */
  at: string;
  phases: FailoverDrillPhases;
  rtoMs?: number;
}

/** Of a drill in which every check held; one in which one did not fails with the evidence, after it cleaned up. */
export interface FailoverDrillResult {
  service: string;
  /** The primary, which has nothing to do with it. */
  from: string;
  to: string;
  isolation: Isolation;
  copied: CloneMade;
  promotion: Promotion;
  phases: FailoverDrillPhases;
  /** rto: what is measured of it here is `ready`; seeing the outage, deciding, the fence and the traffic come to it. */
  objectives: Objective[];
  /** Of the clone as the primary, of what is left of it, and that production is as it was. */
  checks: Check[];
  /** Where each switch sends traffic, and would send it; none was moved. */
  switches: { name: string; from: Traffic; to: Traffic }[];
  /** What a failover would do. */
  plan: FailoverPlan;
  steps: { name: string; ms: number }[];
  report?: StoredReport;
}

/** "2026-01-05T03:00:00.000Z: db-b ready in 1.2s (first write 0.4s), RTO 5m". */
export function describeFailoverDrill({ node, at, phases, rtoMs }: FailoverDrillMeasurement): string {
  const { ready, firstWrite } = phases;
  const objective = rtoMs === undefined ? '' : `, RTO ${formatDuration(rtoMs)}`;
  return `${at}: ${node} ready in ${formatDuration(ready)} (first write ${formatDuration(firstWrite)})${objective}`;
}
