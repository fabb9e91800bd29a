import type { Lsn } from './lsn.ts';
import { compareLsn, lsnDistanceBytes } from './lsn.ts';
import type { WalObject, WalRange, WalStatus } from './wal.ts';

/** Joins objects into contiguous ranges, timeline by timeline; pieces may overlap, come in any order, and repeat. */
export function rangesOf(objects: WalObject[]): WalRange[] {
  const sorted = objects.toSorted((a, b) => a.timeline - b.timeline || compareLsn(a.startLsn, b.startLsn));
  const ranges: WalRange[] = [];
  for (const object of sorted) {
    const last = ranges.at(-1);
    if (last?.timeline === object.timeline && compareLsn(object.startLsn, last.endLsn) <= 0) extend(last, object);
    else ranges.push(rangeOf(object));
  }
  return ranges;
}

function rangeOf(object: WalObject): WalRange {
  const { timeline, startLsn, endLsn, storedBytes } = object;
  return { timeline, startLsn, endLsn, objects: 1, storedBytes, ...commitAt(object.lastCommitMicros) };
}

function extend(range: WalRange, object: WalObject): void {
  if (compareLsn(object.endLsn, range.endLsn) > 0) range.endLsn = object.endLsn;
  range.objects += 1;
  range.storedBytes += object.storedBytes;
  const commit = commitAt(object.lastCommitMicros).lastCommitAt;
  if (commit !== undefined && commit > (range.lastCommitAt ?? '')) range.lastCommitAt = commit;
}

function commitAt(micros: number | undefined): { lastCommitAt?: string } {
  return micros === undefined ? {} : { lastCommitAt: isoMicros(micros) };
}

/** ISO 8601 UTC with microseconds: what PostgreSQL's own resolution is. */
export function isoMicros(micros: number): string {
  const fraction = String(micros % 1_000_000).padStart(6, '0');
  return `${new Date(Math.floor(micros / 1_000_000) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Holes between ranges of one timeline. */
export function gapsOf(ranges: WalRange[]): WalStatus['gaps'] {
  return ranges.flatMap((range, index) => {
    const next = ranges[index + 1];
    if (!next || next.timeline !== range.timeline) return [];
    const bytes = lsnDistanceBytes(range.endLsn, next.startLsn);
    return [{ timeline: range.timeline, fromLsn: range.endLsn, toLsn: next.startLsn, bytes }];
  });
}

/** The range of `timeline` that holds all of [from, to], if there is one. */
export function rangeHolding(ranges: WalRange[], timeline: number, span: { from: Lsn; to: Lsn }): WalRange | undefined {
  return ranges.find(
    (range) =>
      range.timeline === timeline &&
      compareLsn(range.startLsn, span.from) <= 0 &&
      compareLsn(range.endLsn, span.to) >= 0,
  );
}
