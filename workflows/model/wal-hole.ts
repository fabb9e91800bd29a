import { findFailure } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn, parseLsn } from './lsn.ts';
import type { HoleEvidence, WalHole } from './wal.ts';

/** Where a base backup begins: what a stream with a hole in it wants to know of it. */
export interface BaseStart {
  /** Absent: of whichever cluster the source is. */
  systemId?: string;
  timeline: number;
  startLsn: Lsn;
}

/** The hole that a failure is evidence of. Only WAL that the server no longer has may be passed over. */
export function holeOf(error: unknown): WalHole | undefined {
  return (findFailure(error)?.details?.[1] as Partial<HoleEvidence> | undefined)?.hole;
}

/** True when people who were told of `told` know all of `hole`: the server has dropped nothing more since. */
export function isKnown(hole: WalHole, told: WalHole | undefined): boolean {
  if (told?.systemId !== hole.systemId || told.timeline !== hole.timeline) return false;
  return hole.from === told.from && compareLsn(hole.to, told.to) <= 0;
}

/**
 * True when a base begins behind the hole: whatever comes after it can be reached without what was lost. One of another
 * cluster does: the source is that cluster now, and the hole can never be closed by one of its own.
 */
export function isBehind(base: BaseStart, hole: WalHole): boolean {
  if (isOfAnother(base, hole)) return true;
  return base.timeline >= hole.timeline && compareLsn(base.startLsn, hole.to) >= 0;
}

/** True for a base of another cluster than the hole is in. */
export function isOfAnother({ systemId }: BaseStart, hole: WalHole): boolean {
  return systemId !== undefined && systemId !== hole.systemId;
}

/** Checks what came with a signal: anybody may send one. */
export function isBaseStart(value: unknown): value is BaseStart {
  if (typeof value !== 'object' || value === null) return false;
  const { systemId, timeline, startLsn } = value as Record<string, unknown>;
  if (systemId !== undefined && typeof systemId !== 'string') return false;
  return Number.isInteger(timeline) && typeof startLsn === 'string' && isLsn(startLsn);
}

function isLsn(text: string): boolean {
  try {
    parseLsn(text);
    return true;
  } catch {
    return false;
  }
}

/** Evidence of the failure that says that a source is another cluster than the one that its vault has points of. */
export interface OtherClusterEvidence {
  otherCluster: { expected: string; found: string };
}

/** True when no base of the source is ever taken under its name: every one fails as this one did. */
export function isOtherCluster(error: unknown): boolean {
  const evidence = findFailure(error)?.details?.[1] as Partial<OtherClusterEvidence> | undefined;
  return evidence?.otherCluster !== undefined;
}
