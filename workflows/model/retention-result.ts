import type { Lsn } from './lsn.ts';
import type { PointKind } from './manifest.ts';

/** As many points as a person reads, and a workflow's history carries; the counts are of all. */
export const POINTS_TOLD = 1000;
/** As many refusals as say what is wrong. */
export const REFUSALS_TOLD = 20;

export interface ToldPoint {
  point: string;
  kind: PointKind;
  /** ISO 8601 UTC: what it reaches from. */
  at: string;
  storedBytes: number;
}

/** What retention would do now. */
export interface RetentionPreview {
  source: string;
  /** Newest last. */
  keep: (ToldPoint & { why: string[] })[];
  kept: number;
  /** In the order of removal. */
  remove: ToldPoint[];
  removed: number;
  removedBytes: number;
  wal: {
    objects: number;
    storedBytes: number;
    /** Of each cluster and timeline the position from which on everything is kept. */
    keepFrom: { systemId: string; timeline: number; lsn: Lsn }[];
  };
}

/** What a store would not delete. */
export interface Refusal {
  place: string;
  reason: string;
}

export interface PointsRemoved {
  points: string[];
  count: number;
  /** Folders of points that are none, of which something was removed. */
  swept: number;
  refused: Refusal[];
}

export interface WalRemoved {
  objects: number;
  storedBytes: number;
  refused: Refusal[];
}

/** What a retention did; a dry run has the preview alone. */
export type RetentionResult =
  | { dryRun: true; preview: RetentionPreview }
  | { dryRun: false; preview: RetentionPreview; points: PointsRemoved; wal: WalRemoved };

export interface HoldResult {
  source: string;
  point: string;
  held?: { reason: string; at: string };
}
