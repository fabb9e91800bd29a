import { isFailure } from '../../../../workflows/model/failure.ts';
import { formatLsn } from '../../../../workflows/model/lsn.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import type { TimelineHistory, WalObject } from '../../../../workflows/model/wal.ts';
import type { ReadableWal } from '../../source.ts';
import { SegmentIndex } from './segment-index.ts';
import { assembleSegment } from './segments.ts';

/** A segment is compacted once; what is missing in three lists was lost. */
const LOOKS = 3;

export interface StoredWal {
  systemId: string;
  segmentBytes: number;
  /** Nothing in front of it is read. */
  fromLsn: Lsn;
  histories: readonly TimelineHistory[];
  /** As they were listed. */
  objects: readonly WalObject[];
}

/** Segments out of the stored WAL while it is streamed: pieces that were compacted since they were listed are looked up again. */
export class StoredSegments {
  readonly #vault: ReadableWal;
  readonly #wal: StoredWal;
  #index: SegmentIndex;

  constructor(vault: ReadableWal, wal: StoredWal) {
    this.#vault = vault;
    this.#wal = wal;
    this.#index = new SegmentIndex([...wal.objects], wal.segmentBytes);
  }

  /** Undefined when nothing of it is stored. */
  async read(segment: { timeline: number; start: bigint }, look = 1): Promise<Buffer | undefined> {
    const { segmentBytes, systemId, fromLsn, histories } = this.#wal;
    const { timeline, start } = segment;
    const query = { timeline, start: formatLsn(start), segmentBytes, histories: [...histories] };
    try {
      return await assembleSegment(this.#vault, this.#index.touching(start), query);
    } catch (error) {
      if (!isFailure(error, 'NotFound') || look === LOOKS) throw error;
      this.#index = new SegmentIndex(await this.#vault.list({ systemId, fromLsn }), segmentBytes);
      return this.read(segment, look + 1);
    }
  }
}
