import type { Lsn } from './lsn.ts';

/** No WAL object is longer: a listing finds what covers a position by looking this far before it. */
export const LONGEST_WAL_OBJECT_BYTES = 64 * 1024 * 1024;

/** One immutable WAL object in the vault: bytes [startLsn, endLsn) of one timeline. */
export interface WalObject {
  systemId: string;
  timeline: number;
  startLsn: Lsn;
  endLsn: Lsn;
  /** Newest commit or abort inside, microseconds since 1970-01-01 UTC; absent when there is none. */
  lastCommitMicros?: number;
  /** Key in the store. */
  key: string;
  storedBytes: number;
}

/** Contiguous WAL of one timeline: [startLsn, endLsn). */
export interface WalRange {
  timeline: number;
  startLsn: Lsn;
  endLsn: Lsn;
  /** Newest commit inside, ISO 8601 UTC with microseconds; absent when none is known. */
  lastCommitAt?: string;
  objects: number;
  storedBytes: number;
}

/** One line of a timeline history file (manual 26.3.6): `timeline` was left at `switchLsn`. */
export interface TimelineSwitch {
  timeline: number;
  switchLsn: Lsn;
  reason: string;
}

/** The ancestry of `timeline`, oldest first. Timeline 1 has none. */
export interface TimelineHistory {
  timeline: number;
  ancestors: TimelineSwitch[];
}

/** WAL of one cluster that its server no longer has: [from, to). The stream can go on at `to` of `timeline`. */
export interface WalHole {
  systemId: string;
  timeline: number;
  from: Lsn;
  to: Lsn;
}

/** Evidence of the failure that says that WAL is lost for good. */
export interface HoleEvidence {
  hole: WalHole;
}

/** What the server says of a slot of ours. */
export interface SlotStatus {
  slot: string;
  /** archiving, failing: files come from the server's archiver (`slot` is "archive_command"), or it fails to hand them over. */
  slotState: 'streaming' | 'inactive' | 'missing' | 'lost' | 'archiving' | 'failing';
  /** Bytes of WAL it holds back on the server. */
  retainedBytes: number;
}

/** What `lifeboat wal` shows. */
export interface WalStatus {
  source: string;
  systemId: string;
  ranges: WalRange[];
  /** Holes between ranges of one timeline. */
  gaps: { timeline: number; fromLsn: Lsn; toLsn: Lsn; bytes: number }[];
  histories: TimelineHistory[];
  /** What the server says of our slot; absent when the server could not be asked (reason in `unreachable`). */
  server?: {
    flushLsn: Lsn;
    timeline: number;
    /** Of the first stream. */
    slot: SlotStatus['slot'];
    slotState: SlotStatus['slotState'];
    /** Bytes the server has flushed and the vault has not. */
    lagBytes: number;
    /** Age of the newest commit in the vault against the server's clock, milliseconds. */
    lagMs?: number;
    /** Bytes of WAL the slot holds back on the server. */
    retainedBytes: number;
    /** Slots of further streams. */
    others?: SlotStatus[];
    /** Slots of streams that wal.streams does not name any more; absent: there are none. */
    left?: SlotStatus[];
  };
  unreachable?: string;
}
