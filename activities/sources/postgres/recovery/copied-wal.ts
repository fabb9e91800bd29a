import { isFailure } from '../../../../workflows/model/failure.ts';
import { formatLsn, parseSegmentName, segmentName } from '../../../../workflows/model/lsn.ts';
import type { TimelineHistory } from '../../../../workflows/model/wal.ts';
import type { Run } from '../../../io/run.ts';
import type { WalVault } from '../../source.ts';
import { SegmentIndex } from '../wal/segment-index.ts';
import { assembleSegment } from '../wal/segments.ts';
import type { Neighbours } from './inside-copy.ts';
import { InsideCopy, undefinedIfDamaged } from './inside-copy.ts';

/** A segment is compacted once; what is missing in three lists was lost. */
const LOOKS = 3;

type Segment = NonNullable<ReturnType<typeof parseSegmentName>>;

export interface CopiedWalOptions {
  wal: WalVault;
  run: Run;
  systemId: string;
  segmentBytes: number;
  /** A file that is on its way already. */
  flying(name: string): Promise<unknown> | undefined;
}

/** WAL files of the vault as a copy gets them: whole, with zeroes behind what is stored, and with its tablespaces inside of it. */
export class CopiedWal {
  readonly #at: CopiedWalOptions;
  #index = new SegmentIndex([], 1);
  #histories: TimelineHistory[] = [];
  readonly #inside = new InsideCopy();

  constructor(options: CopiedWalOptions) {
    this.#at = options;
  }

  async refresh(): Promise<void> {
    const { wal, systemId } = this.#at;
    this.#index = new SegmentIndex(await wal.list({ systemId }), this.#at.segmentBytes);
    this.#histories = await wal.histories(systemId);
  }

  /** Undefined only when the vault was asked and has nothing of it. */
  async file(name: string): Promise<Buffer | undefined> {
    const { wal, systemId, segmentBytes } = this.#at;
    const history = /^([0-9A-F]{8})\.history$/.exec(name)?.[1];
    if (history !== undefined) return wal.readHistory(systemId, Number.parseInt(history, 16));
    const segment = parseSegmentName(name, segmentBytes);
    if (!segment) return undefined;
    // Only at its very end can the vault have gained something since it was listed.
    if (!this.has(name) && this.#mayHaveGrown(segment.timeline, segment.start)) await this.refresh();
    const content = await this.#assemble(segment);
    return content && this.#keepInside(content, { ...segment, name });
  }

  /** Tablespaces that the WAL makes go into the copy, wherever the source made them. */
  async #keepInside(content: Buffer, segment: Segment & { name: string }): Promise<Buffer> {
    const made = await this.#inside.keep(content, segment, this.#beside(segment));
    for (const { oid, location } of made)
      this.#at.run.log.info('a tablespace of the source is made inside the copy', { oid, location });
    return content;
  }

  #beside({ timeline, start }: Segment): Neighbours {
    const { segmentBytes } = this.#at;
    const others = (at: bigint, fits: (other: number) => boolean): Segment[] => {
      const timelines = new Set(this.#index.touching(at).map((object) => object.timeline));
      return [...timelines].filter(fits).map((other) => ({ timeline: other, start: at }));
    };
    const readable = (other: Segment): Promise<Buffer | undefined> => this.#assemble(other).catch(undefinedIfDamaged);
    return {
      before: async () => {
        const found = others(start - BigInt(segmentBytes), (other) => other <= timeline).map((other) => ({
          place: { start: other.start, name: segmentName(other.timeline, other.start, segmentBytes) },
          content: () => readable(other),
        }));
        // One that is on its way is not fetched twice: how it ends is remembered.
        await Promise.allSettled(found.flatMap(({ place }) => this.#at.flying(place.name) ?? []));
        return found;
      },
      behind: async () => {
        const next = start + BigInt(segmentBytes);
        if (this.#index.touching(next).length === 0) await this.refresh();
        const found = others(next, (other) => other >= timeline).map(readable);
        return (await Promise.all(found)).filter((content) => content !== undefined);
      },
    };
  }

  /** Pieces that were compacted since they were listed are gone; what replaced them is in a new list. */
  async #assemble({ timeline, start }: Segment, look = 1): Promise<Buffer | undefined> {
    const { wal, segmentBytes } = this.#at;
    const query = { timeline, start: formatLsn(start), segmentBytes, histories: this.#histories };
    try {
      return await assembleSegment(wal, this.#index.touching(start), query);
    } catch (error) {
      if (!isFailure(error, 'NotFound') || look === LOOKS) throw error;
      await this.refresh();
      return this.#assemble({ timeline, start }, look + 1);
    }
  }

  /** As it was listed. */
  has(name: string): boolean {
    const segment = parseSegmentName(name, this.#at.segmentBytes);
    if (!segment) return false;
    return this.#index.touching(segment.start).some((object) => object.timeline === segment.timeline);
  }

  #mayHaveGrown(timeline: number, start: bigint): boolean {
    return (this.#index.newestStart(timeline) ?? start) < start;
  }
}
