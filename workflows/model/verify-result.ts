import type { Refusal } from './retention-result.ts';
import type { Check } from './recovery.ts';
import { formatBytes } from './units.ts';
import type { FoundHole, LostMoments, WalFault, WalVerified } from './wal-verify.ts';

export interface DamagedPoint {
  point: string;
  reason: string;
}

/** What reading every recovery point of a source found. */
export interface PointsVerified {
  source: string;
  points: number;
  /** Parts read and compared, bytes before and after decompression. */
  parts: number;
  bytes: number;
  storedBytes: number;
  /** The first of them; `reports` has all when there are more. */
  damaged: DamagedPoint[];
  damagedCount: number;
  /** Keys in the store. */
  reports: string[];
}

/** Shown of damaged points. */
export const DAMAGED_TOLD = 20;

/** What everything that is stored of a source is like. */
export interface VerifyAllResult {
  source: string;
  ok: boolean;
  points: PointsVerified;
  /** Absent for a source of dumps. */
  wal?: WalVerified;
}

/** What compacting the stored WAL of a source did. */
export interface CompactResult {
  source: string;
  /** Objects that now stand for several. */
  objects: number;
  /** Those, which are gone. */
  pieces: number;
  /** Segments whose pieces do not agree: they stay as they are. The first of them. */
  faults: WalFault[];
  faultCount: number;
  /** The first that the store would not delete. */
  refused: Refusal[];
}

export function pointChecks({ points, parts, damaged, damagedCount, reports }: PointsVerified): Check[] {
  const sum = { name: 'points', ok: damagedCount === 0, expected: 'every byte as it was signed' };
  return [
    { ...sum, found: `${points - damagedCount} of ${points} whole, ${parts} parts read${listed(reports)}` },
    ...damaged.map(({ point, reason }) => ({ name: point, ok: false, expected: 'whole', found: reason })),
  ];
}

export function walChecks(wal: WalVerified): Check[] {
  const { faultCount, holeCount, unusableCount, points, reports } = wal;
  const closed = wal.holes.every(({ until }) => until !== undefined);
  return [
    {
      ...{ name: 'WAL objects', ok: faultCount === 0, expected: 'each as it was written' },
      found: `${wal.objects} read, ${wal.records} records, ${faultCount} wrong${listed(reports)}`,
    },
    ...wal.faults.map(faultCheck),
    {
      ...{ name: 'WAL without holes', ok: closed, expected: 'none, or a base behind each' },
      found: holeCount === 0 ? 'none' : `${holeCount} holes`,
    },
    ...wal.holes.map(holeCheck),
    {
      ...{ name: 'WAL of every point', ok: unusableCount === 0, expected: 'what makes it consistent' },
      found: `${points - unusableCount} of ${points} points have it`,
    },
    ...wal.unusable.map(({ point, reason }) => ({ name: point, ok: false, expected: 'its WAL', found: reason })),
    ...wal.lost.map(lostCheck),
  ];
}

/** What is wrong, in a few words. */
export function wrongWal({ faultCount, unusableCount, holes }: WalVerified): string {
  const open = holes.filter(({ until }) => until === undefined).length;
  return [
    faultCount > 0 ? `${faultCount} objects are wrong` : [],
    unusableCount > 0 ? `${unusableCount} points lack WAL` : [],
    open > 0 ? `${open} holes have no base behind them` : [],
  ]
    .flat()
    .join(', ');
}

function listed(reports: readonly string[]): string {
  return reports.length === 0
    ? ''
    : `; all of them in ${reports[0]}${reports.length > 1 ? ` and ${reports.length - 1} more` : ''}`;
}

export function faultCheck({ place, what, expected, found }: WalFault): Check {
  return { name: place, ok: false, expected, found: `${what}: expected ${expected}, found ${found}` };
}

function holeCheck({ timeline, fromLsn, toLsn, bytes, after, until }: FoundHole): Check {
  const since = after === undefined ? '' : ` No moment behind ${after}`;
  const lost =
    until === undefined
      ? `${since} can be reached: no base begins behind it.`
      : `${since} can be reached up to ${until}.`;
  const found = `${formatBytes(bytes)} are not stored.${since === '' ? '' : lost}`;
  const name = `hole ${fromLsn} to ${toLsn} on timeline ${timeline}`;
  return { name, ok: until !== undefined, expected: 'a base behind it', found };
}

function lostCheck({ timeline, fromLsn, toLsn, from, to }: LostMoments): Check {
  const found = `what lies between ${from} and ${to} cannot be reached`;
  return { name: `moments ${fromLsn} to ${toLsn} of timeline ${timeline}`, ok: false, expected: 'reachable', found };
}
