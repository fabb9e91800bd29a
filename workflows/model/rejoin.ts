import type { Approval, Evidence } from './approval.ts';
import type { WalTail } from './cluster.ts';
import type { FailoverPlan, FailoverResult, Following, PlanStep } from './failover.ts';
import type { Commit } from './last-good.ts';
import type { Lsn } from './lsn.ts';
import type { Check, StoredReport } from './recovery.ts';
import type { TimelineSwitch } from './wal.ts';

/** Input of the workflow `rejoin`. */
export interface RejoinOrder {
  service: string;
  /** Name of the node, or its site, that is to follow the primary again. */
  node: string;
  /** Who starts it; they cannot sign off alone. */
  by: string;
  /** Only look, and say what would be done. */
  dryRun?: boolean;
}

/** Input of the workflow `failback`. */
export interface FailbackOrder {
  service: string;
  /** Site, or name of the node, that becomes the primary again; needed where there are more than two. */
  to?: string;
  by: string;
  /** The standby has to be within limits.lag for so long without a break, milliseconds; default ten minutes. */
  soakMs?: number;
  /** Only look, and say what would be done. */
  dryRun?: boolean;
}

/** WAL of one timeline, by pages of 8 KiB: the same digests are the same history. */
export interface PageDigests {
  fromLsn: Lsn;
  toLsn: Lsn;
  /** SHA-256 of each page, its first 16 digits; of the last one up to `toLsn`. */
  pages: string[];
}

/** Where a primary is, and how it came there. */
export interface WalTrace {
  systemId: string;
  /** Major version. */
  major: number;
  timeline: number;
  ancestors: TimelineSwitch[];
  lsn: Lsn;
  /** Of the range that was asked for; absent where it does not have it any more. */
  digests?: PageDigests;
}

/** What the files of a server that is down say of how it ended. */
export interface OldNode {
  systemId: string;
  major: number;
  /** "shut down", "in production", ... (pg_control) */
  state: string;
  timeline: number;
  /** Absent where it is on a timeline whose history it does not have, and the primary has not either. */
  ancestors?: TimelineSwitch[];
  /** First byte behind its last record; absent when its WAL cannot be followed. */
  endLsn?: Lsn;
  /** Oldest WAL from which on it has all; absent when it has none. */
  walFromLsn?: Lsn;
  /** Data checksums or wal_log_hints, and full_page_writes. */
  rewindable: boolean;
  segmentBytes: number;
  /** A rewind was begun and did not come to its end. */
  interrupted: boolean;
  /** Of its newest WAL that the primary has to have, too. */
  digests?: PageDigests;
}

/** follow: as it is. rewind: pg_rewind. reseed: a new copy of the primary. */
export type RejoinPath = 'follow' | 'rewind' | 'reseed';

export interface RejoinChoice {
  path: RejoinPath;
  /** In one sentence. */
  why: string;
  /** Where the primary went on without it; absent: it is not known. */
  forkLsn?: Lsn;
  /** Something that only it has is given up: from here on. Absent: nothing is, or nobody can tell. */
  salvageFromLsn?: Lsn;
  /** Nobody can tell what only it has, for it has no WAL that would: that is given up, too. */
  untold?: true;
}

/** What an old primary wrote that nobody else has, kept in the vault. */
export interface Salvage {
  timeline: number;
  fromLsn: Lsn;
  endLsn?: Lsn;
  /** Keys in the store: control file, histories, segments, and the list of all commits. */
  keys: string[];
  bytes: number;
  /** SHA-256 over all that was kept. */
  hash: string;
  /** Commits behind the fork, and the first of them with what they changed. */
  commits: number;
  first: Commit[];
}

/** How pg_rewind went. */
export interface Rewound {
  ok: boolean;
  /** Why not. */
  said: string;
}

export interface RejoinResult {
  service: string;
  node: string;
  primary: string;
  /** none: it followed already. */
  path: RejoinPath | 'none';
  why: string[];
  epoch: number;
  forkLsn?: Lsn;
  endLsn?: Lsn;
  salvage?: Salvage;
  evidence?: Evidence;
  approvals: Approval[];
  following: Following;
  steps: { name: string; ms: number }[];
  report?: StoredReport;
}

/** What a rejoin would do, and why; nothing was touched. */
export interface RejoinPreview {
  preview: true;
  service: string;
  node: string;
  /** Name of the primary; "none". */
  primary: string;
  /** It could be started now. */
  ok: boolean;
  checks: Check[];
  /** none: it follows already. Absent where a check does not hold. */
  path?: RejoinPath | 'none';
  why: string[];
  forkLsn?: Lsn;
  endLsn?: Lsn;
  /** From here on it has what nobody else has, and is asked for before it is given up. */
  givesUpFromLsn?: Lsn;
  /** How much that is; absent where it runs, or its WAL cannot tell. */
  givesUp?: WalTail;
  /** What only it has cannot be told, and is given up. */
  untold?: true;
  steps: PlanStep[];
}

/** What a failback would do; nothing was touched. */
export interface FailbackPreview {
  preview: true;
  service: string;
  node: string;
  ok: boolean;
  rejoin: RejoinPreview;
  /** How long it would have to keep up, and how far it may be behind. */
  soak: { ms: number; lagBytes: number };
  /** Of the planned failover to it. */
  plan: FailoverPlan;
  /** What that needs, as it is now; absent: the node has to be a standby first. */
  checks?: Check[];
}

/** A standby that was watched for as long as was wanted. */
export interface Soak {
  ms: number;
  mostLagBytes: number;
  /** Times that it was begun anew. */
  breaks: number;
}

export interface FailbackResult {
  service: string;
  node: string;
  rejoin: RejoinResult;
  soak: Soak;
  failover: FailoverResult;
  report?: StoredReport;
}
