import { parseLsn } from '../../../../workflows/model/lsn.ts';
import type { WalObject } from '../../../../workflows/model/wal.ts';

const NONE: WalObject[] = [];

/** A listing of WAL objects by the segments they touch: replay asks for thousands of segments, one after the other. */
export class SegmentIndex {
  readonly #bySegment = new Map<bigint, WalObject[]>();
  readonly #newestStart = new Map<number, bigint>();

  constructor(objects: WalObject[], segmentBytes: number) {
    const size = BigInt(segmentBytes);
    for (const object of objects) {
      const [start, end] = [parseLsn(object.startLsn), parseLsn(object.endLsn)];
      for (let at = start - (start % size); at < end; at += size) this.#add(at, object);
      const newest = this.#newestStart.get(object.timeline);
      if (newest === undefined || start > newest) this.#newestStart.set(object.timeline, start);
    }
  }

  /** Objects of all timelines that hold a byte of the segment that starts there. */
  touching(segmentStart: bigint): WalObject[] {
    return this.#bySegment.get(segmentStart) ?? NONE;
  }

  /** Where the last object of a timeline starts; undefined when it has none. */
  newestStart(timeline: number): bigint | undefined {
    return this.#newestStart.get(timeline);
  }

  #add(segment: bigint, object: WalObject): void {
    const others = this.#bySegment.get(segment);
    if (others) others.push(object);
    else this.#bySegment.set(segment, [object]);
  }
}
