import { chainsOf } from './chain.ts';
import type { Holdings } from './coverage-walk.ts';
import { formatLsn, parseLsn, segmentStart } from './lsn.ts';
import type { PointSummary } from './manifest.ts';
import type { PointMarks } from './retention.ts';
import { rangeHolding } from './wal-coverage.ts';

/**
 * Whether a point is as good as any other: its chain is whole, nothing that it stands on was damaged on the source or
 * failed a verification, and the WAL that makes it consistent is there. A dump needs none.
 */
export function goodnessOf(
  { points, ranges }: Holdings,
  marks: ReadonlyMap<string, PointMarks>,
): (point: PointSummary) => boolean {
  const chainOf = chainsOf(points);
  const known = new Map<string, boolean>();
  const all = [...ranges];
  const look = (point: PointSummary): boolean => {
    const chain = chainOf(point);
    if ('broken' in chain) return false;
    if (chain.links.some((link) => link.damaged || marks.get(link.point)?.wrong)) return false;
    if (point.dump) return true;
    // A point that stands on this one has WAL of its own.
    if (marks.get(point.point)?.wrongWal) return false;
    return rangeHolding(all, point.timeline, { from: firstNeeded(point), to: point.stopLsn }) !== undefined;
  };
  return (point) => {
    const found = known.get(point.point) ?? look(point);
    known.set(point.point, found);
    return found;
  };
}

/** The server reads the segment of the start from its beginning. */
export function firstNeeded({ startLsn, segmentBytes }: PointSummary): string {
  return formatLsn(segmentStart(parseLsn(startLsn), segmentBytes));
}
