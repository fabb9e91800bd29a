import type { Forecasting, RtoForecast } from './forecast.ts';
import { forecastOf } from './forecast.ts';
import { compareLsn, lsnDistanceBytes } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import type { Estimate, WalLeg } from './recovery.ts';
import type { Target } from './target.ts';
import { timeMicros } from './target-parse.ts';
import type { WalObject } from './wal.ts';

export interface Estimating {
  legs: readonly WalLeg[];
  target: Target;
  objects: readonly WalObject[];
  /** Of the databases when the base was taken, as far as the source could measure them. */
  sizeBytes?: number;
  /** What earlier recoveries took; absent: nothing is known of any. */
  measured?: Forecasting;
}

/** What a recovery from the newest point of a chain, the full one first, moves and about how long it takes. */
export function estimateOf(
  chain: readonly PointSummary[],
  use: Estimating,
): Estimate & { forecast: RtoForecast; clusterBytes: number } {
  const base = chain.at(-1);
  const walBytes = base ? walBytesTo(base, use) : 0;
  const sum = (pick: (point: PointSummary) => number): number => chain.reduce((total, point) => total + pick(point), 0);
  const fetchBytes = sum((point) => point.bytes);
  const clusterBytes = chain[0]?.bytes ?? 0;
  const load = { fetchBytes, walBytes, clusterBytes, links: chain.length };
  const forecast = forecastOf(load, use.measured ?? { measurements: [], nowMs: 0 });
  return {
    ...{ fetchBytes, storedBytes: sum((point) => point.storedBytes), walBytes, clusterBytes },
    ...{ seconds: Math.ceil(forecast.seconds), forecast },
    spaceBytes: Math.min(fetchBytes, spaceBytesOf(chain, use.sizeBytes ?? 0)),
  };
}

/** The cluster as large as it ever was, and beside it the changed blocks of one point: never the whole chain. */
function spaceBytesOf([full, ...increments]: readonly PointSummary[], sizeBytes: number): number {
  const largest = Math.max(0, ...increments.map((point) => point.bytes));
  return Math.max(full?.bytes ?? 0, sizeBytes) + largest;
}

function walBytesTo(
  base: PointSummary,
  { legs, target, objects }: { legs: readonly WalLeg[]; target: Target; objects: readonly WalObject[] },
): number {
  if (target.kind === 'immediate') return lsnDistanceBytes(base.startLsn, base.stopLsn);
  const last = legs.at(-1);
  if (!last) return 0;
  const before = legs.slice(0, -1).reduce((sum, leg) => sum + lsnDistanceBytes(leg.fromLsn, leg.toLsn), 0);
  return before + Math.max(0, lsnDistanceBytes(last.fromLsn, endFor(last, target, objects)));
}

function endFor(leg: WalLeg, target: Target, objects: readonly WalObject[]): string {
  if (target.kind === 'lsn') return compareLsn(target.lsn, leg.toLsn) < 0 ? target.lsn : leg.toLsn;
  if (target.kind !== 'time') return leg.toLsn;
  const micros = timeMicros(target.time);
  const beyond = objects
    .filter(({ timeline, lastCommitMicros }) => timeline === leg.timeline && (lastCommitMicros ?? 0) > micros)
    .map(({ endLsn }) => endLsn)
    .filter((endLsn) => compareLsn(endLsn, leg.fromLsn) > 0)
    .sort(compareLsn);
  return beyond[0] ?? leg.toLsn;
}
