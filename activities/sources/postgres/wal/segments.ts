import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn } from '../../../../workflows/model/lsn.ts';
import { historyOf, leftAt } from '../../../../workflows/model/timeline.ts';
import type { TimelineHistory, WalObject } from '../../../../workflows/model/wal.ts';
import type { ReadableWal } from '../../source.ts';

export interface SegmentQuery {
  timeline: number;
  start: Lsn;
  segmentBytes: number;
  histories: TimelineHistory[];
}

/** A segment, and how much of it is known: zeroes are behind. */
export interface Gathered {
  bytes: Buffer;
  knownBytes: number;
}

/**
 * One whole WAL segment file out of the vault's objects, zero-filled behind the last known byte, as PostgreSQL leaves a
 * segment it has not filled. Undefined when `objects`, a complete listing, hold nothing of it.
 */
export async function assembleSegment(
  vault: ReadableWal,
  objects: WalObject[],
  query: SegmentQuery,
): Promise<Buffer | undefined> {
  return (await gatherSegment(vault, objects, query))?.bytes;
}

export async function gatherSegment(
  vault: ReadableWal,
  objects: WalObject[],
  query: SegmentQuery,
): Promise<Gathered | undefined> {
  const end = formatLsn(parseLsn(query.start) + BigInt(query.segmentBytes));
  const own = within(objects, query.timeline, { start: query.start, end });
  if (own.length === 0) return undefined;
  const whole = own.find((object) => object.startLsn === query.start && object.endLsn === end);
  if (whole) return { bytes: await vault.read(whole), knownBytes: query.segmentBytes };
  const segment = Buffer.alloc(query.segmentBytes);
  const place = { vault, segment, start: query.start };
  let known = query.start;
  const first = own[0]?.startLsn ?? end;
  // The new timeline's first segment repeats its parent's bytes up to the switch.
  if (compareLsn(first, query.start) > 0) known = await fillFromParent(place, objects, { ...query, upTo: first });
  known = await copyChain(place, own, known);
  const knownBytes = Math.min(lsnDistanceBytes(query.start, known), query.segmentBytes);
  return knownBytes > 0 ? { bytes: segment, knownBytes } : undefined;
}

interface Place {
  vault: ReadableWal;
  segment: Buffer;
  start: Lsn;
}

function within(objects: WalObject[], timeline: number, span: { start: Lsn; end: Lsn }): WalObject[] {
  return objects
    .filter(
      (object) =>
        object.timeline === timeline &&
        compareLsn(object.endLsn, span.start) > 0 &&
        compareLsn(object.startLsn, span.end) < 0,
    )
    .toSorted((a, b) => compareLsn(a.startLsn, b.startLsn) || compareLsn(b.endLsn, a.endLsn));
}

/** Copies objects that continue `from` without a hole; answers how far the bytes are known. */
async function copyChain(place: Place, objects: WalObject[], from: Lsn): Promise<Lsn> {
  let known = from;
  for (const object of objects) {
    if (compareLsn(object.startLsn, known) > 0) break;
    if (compareLsn(object.endLsn, known) <= 0) continue;
    const bytes = await place.vault.read(object);
    const offset = lsnDistanceBytes(place.start, object.startLsn);
    const source = bytes.subarray(Math.max(-offset, 0));
    source.copy(
      place.segment,
      Math.max(offset, 0),
      0,
      Math.min(source.length, place.segment.length - Math.max(offset, 0)),
    );
    known = object.endLsn;
  }
  return known;
}

async function fillFromParent(place: Place, objects: WalObject[], query: SegmentQuery & { upTo: Lsn }): Promise<Lsn> {
  const history = historyOf(query.histories, query.timeline);
  const parent = history?.ancestors.at(-1)?.timeline;
  if (!history || parent === undefined || compareLsn(query.upTo, leftAt(history, parent) ?? '0/0') > 0)
    return query.start;
  const known = await copyChain(place, within(objects, parent, { start: query.start, end: query.upTo }), query.start);
  return compareLsn(known, query.upTo) >= 0 ? query.upTo : known;
}
