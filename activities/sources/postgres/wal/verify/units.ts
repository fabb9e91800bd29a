import { parseLsn } from '../../../../../workflows/model/lsn.ts';
import type { WalObject } from '../../../../../workflows/model/wal.ts';

/** A unit is checked as a whole: longer objects than this are units of their own. */
export const MOST_UNIT_BYTES = 16 * 2 ** 20;

/** Objects of one timeline that overlap or continue each other, as a rule one: [start, end). */
export interface Unit {
  timeline: number;
  start: bigint;
  end: bigint;
  objects: WalObject[];
}

/** Timeline by timeline, ascending; of objects that begin at one place the longest first. */
export function inOrder(objects: readonly WalObject[]): WalObject[] {
  const starts = new Map(
    objects.map((object) => [object, [parseLsn(object.startLsn), parseLsn(object.endLsn)] as const]),
  );
  return objects.toSorted((a, b) => {
    const [[aStart, aEnd], [bStart, bEnd]] = [starts.get(a) ?? [0n, 0n], starts.get(b) ?? [0n, 0n]];
    return a.timeline - b.timeline || compare(aStart, bStart) || compare(bEnd, aEnd);
  });
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Cuts where a segment or 16 MiB of it begin, and at holes: pieces of an open segment are one unit. */
export function* unitsOf(objects: readonly WalObject[], segmentBytes: number): Generator<Unit, undefined> {
  const window = BigInt(Math.min(segmentBytes, MOST_UNIT_BYTES));
  let unit: Unit | undefined;
  for (const object of inOrder(objects)) {
    const [start, end] = [parseLsn(object.startLsn), parseLsn(object.endLsn)];
    const isNew =
      unit?.timeline !== object.timeline || start > unit.end || (start === unit.end && start % window === 0n);
    if (isNew && unit) yield unit;
    if (isNew || !unit) unit = { timeline: object.timeline, start, end, objects: [object] };
    else {
      unit.objects.push(object);
      if (end > unit.end) unit.end = end;
    }
  }
  if (unit) yield unit;
  return undefined;
}
