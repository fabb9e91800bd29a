import { isFailure } from '../../../../workflows/model/failure.ts';
import type { MadeTablespace, Suspects } from './tablespace-records.ts';
import { bytesAt, leadBytesOf, madeInside, mayEnd, suspectsOf, writeAt, writeLead } from './tablespace-records.ts';

/** Where a segment stands in the WAL. */
export interface SegmentPlace {
  /** First byte. */
  start: bigint;
  /** Names it among those of all timelines. */
  name: string;
}

/** The segments beside it, of every timeline that has one: which of them goes on with it, a record's sum tells. */
export interface Neighbours {
  before(): Promise<{ place: SegmentPlace; content(): Promise<Buffer | undefined> }[]>;
  behind(): Promise<Buffer[]>;
}

/** A damaged neighbour is nobody's business until the server asks for it: without it no record that it shares is whole. */
export function undefinedIfDamaged(error: unknown): undefined {
  if (!isFailure(error, 'Integrity') && !isFailure(error, 'NotFound')) throw error;
}

/** Segments whose ends are remembered: more than are fetched at once. */
const REMEMBERED = 64;

/**
 * Keeps what replay makes inside the copy. The record of a new tablespace holds the path at which the source made it, and
 * replay would use that place: the copy would write, and drop, what is the source's on this host. It is changed before the
 * server sees it, so that the tablespace stands in the copy's own pg_tblspc.
 */
export class InsideCopy {
  /** Beginnings of records that the end of a segment cuts. */
  readonly #ends = new Map<string, Buffer | undefined>();
  /** Of the segment that was kept last, from where on it is empty now; undefined when it is as long as it was. */
  emptiedFrom: number | undefined;

  /** Changes `segment` where it has to be, and says which tablespaces it makes. */
  async keep(segment: Buffer, place: SegmentPlace, neighbours: Neighbours): Promise<MadeTablespace[]> {
    const suspects = suspectsOf(segment, place.start);
    const made: MadeTablespace[] = [];
    // Before it is changed: the next segment is compared with what the source wrote.
    this.#remember(place.name, endOf(segment, suspects));
    if (mayEnd(suspects.leadBytes)) made.push(...(await this.#keepLead(segment, suspects, neighbours)));
    for (const { at, bytes } of suspects.whole) {
      const inside = madeInside(bytesAt(segment, { at, bytes }));
      if (!inside) continue;
      writeAt(segment, at, inside.record);
      made.push(inside);
    }
    this.emptiedFrom = undefined;
    if (suspects.cut) made.push(...(await this.#keepCut(segment, suspects.cut, neighbours)));
    return made.filter(({ location }) => location !== '');
  }

  async #keepLead(segment: Buffer, { leadBytes }: Suspects, { before }: Neighbours): Promise<MadeTablespace[]> {
    const lead = leadBytesOf(segment, leadBytes);
    for (const { place, content } of await before()) {
      const end = await this.#endBefore(place, content);
      const inside = end && madeInside(Buffer.concat([end, lead]));
      if (!inside) continue;
      writeLead(segment, inside.record.subarray(inside.record.length - leadBytes));
      return [inside];
    }
    return [];
  }

  async #endBefore(place: SegmentPlace, content: () => Promise<Buffer | undefined>): Promise<Buffer | undefined> {
    if (this.#ends.has(place.name)) return this.#ends.get(place.name);
    const segment = await content();
    return segment && endOf(segment, suspectsOf(segment, place.start));
  }

  /**
   * What nobody goes on with is taken away: to the server that is where the WAL ends, and when it has grown it asks again. Left
   * as it is, a server that waits would take it for good once the rest is there.
   */
  async #keepCut(
    segment: Buffer,
    cut: NonNullable<Suspects['cut']>,
    { behind }: Neighbours,
  ): Promise<MadeTablespace[]> {
    const begun = bytesAt(segment, cut);
    const nexts = await behind();
    if (nexts.length === 0) {
      segment.fill(0, cut.at);
      this.emptiedFrom = cut.at;
    }
    for (const next of nexts) {
      const inside = madeInside(Buffer.concat([begun, leadBytesOf(next, cut.bytes - begun.length)]));
      if (!inside) continue;
      writeAt(segment, cut.at, inside.record);
      return [inside];
    }
    return [];
  }

  #remember(name: string, end: Buffer | undefined): void {
    this.#ends.set(name, end);
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > REMEMBERED && oldest !== undefined) this.#ends.delete(oldest);
  }
}

function endOf(segment: Buffer, { cut }: Suspects): Buffer | undefined {
  return cut && Buffer.from(bytesAt(segment, cut));
}
