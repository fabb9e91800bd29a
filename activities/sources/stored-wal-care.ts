import type { Lsn } from '../../workflows/model/lsn.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import type { WalFault } from '../../workflows/model/wal-verify.ts';
import type { WalVault } from './log-shipping.ts';

/** WAL of one timeline from a position on. */
export interface CommitSearch {
  systemId: string;
  timeline: number;
  fromLsn: Lsn;
  /** Where this timeline was left; absent: to the end of its WAL. */
  toLsn?: Lsn;
  segmentBytes: number;
}

/** Stored WAL of one cluster that is to be checked. */
export interface WalCheck {
  systemId: string;
  segmentBytes: number;
  /** server_version_num; absent when it is not known. */
  serverVersion?: number;
  /** What is to be read, as it was listed. */
  objects: readonly WalObject[];
  histories: readonly TimelineHistory[];
  /** Where the attempt before was: what it read is passed over. */
  after?: { timeline: number; lsn: Lsn; chain?: unknown };
}

/** A stretch of WAL that was read, and all in front of it. */
export interface CheckedWal {
  timeline: number;
  endLsn: Lsn;
  objects: number;
  storedBytes: number;
  walBytes: number;
  records: number;
  faults: WalFault[];
  /** For WalCheck.after; JSON safe. */
  chain?: unknown;
}

export interface CheckedHistories {
  histories: TimelineHistory[];
  faults: WalFault[];
}

/** Stored WAL of one cluster, as it was listed. */
export interface CompactOrder extends Pick<WalCheck, 'systemId' | 'segmentBytes' | 'objects'> {
  /** Also the segment in which the newest timeline ends: no stream will make it whole. */
  open?: boolean;
}

/** Pieces that were replaced by one object that holds the same. */
export interface Compacted {
  /** The object. */
  key: string;
  pieces: number;
  /** What the store would not delete, and why. */
  refused: { place: string; reason: string }[];
}

/** What is done with WAL that is stored; no server is asked. */
export interface StoredWalCare {
  /** Size of a segment, as the stored WAL itself says; undefined when none of it does. */
  segmentBytes(vault: WalVault, objects: readonly WalObject[]): Promise<number | undefined>;
  /** History files, and forks. Objects ascend. */
  checkHistories(
    vault: WalVault,
    check: Pick<WalCheck, 'systemId' | 'segmentBytes' | 'objects'> & { timelines: readonly number[] },
  ): Promise<CheckedHistories>;
  /** Reads every object, its pages and its records, in order. What is wrong is told and stops nothing. */
  check(vault: WalVault, check: WalCheck): AsyncIterable<CheckedWal>;
  /**
   * Makes one object of the pieces of each segment; it is read back before they go. Where they do not agree that is told, and
   * they stay as they are.
   */
  compact(vault: WalVault, order: CompactOrder): AsyncIterable<Compacted | { fault: WalFault }>;
}
