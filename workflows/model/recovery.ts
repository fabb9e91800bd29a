import type { RtoForecast } from './forecast.ts';
import type { ImportPlan } from './dump.ts';
import type { Lsn } from './lsn.ts';
import type { MatchedSettings, PointSummary } from './manifest.ts';
import type { Brought, PartialPlan } from './partial.ts';
import type { StandbyEvidence, StandbyPlan } from './standby.ts';
import type { Target, TargetAction, TimelineChoice } from './target.ts';

/** Moments that can be reached with what the vault holds now. */
export interface ReachableWindow {
  point: string;
  timeline: number;
  fromLsn: Lsn;
  toLsn: Lsn;
  /** ISO 8601 UTC: the base's end. */
  from: string;
  /** ISO 8601 UTC: the newest commit the vault holds; absent when the range holds none. */
  to?: string;
}

/** WAL of one timeline that the replay will read. */
export interface WalLeg {
  timeline: number;
  fromLsn: Lsn;
  toLsn: Lsn;
}

/** Where in the WAL a transaction ended, or a restore point stands. */
export interface TargetPlace {
  what: 'commit' | 'abort' | 'restore point';
  timeline: number;
  /** First byte of the record. */
  lsn: Lsn;
  /** ISO 8601 UTC with microseconds, by the source's clock; absent when the record does not tell. */
  at?: string;
}

/** What a recovery moves and about how long it takes. */
export interface Estimate {
  /** Of all points of the chain. */
  fetchBytes: number;
  storedBytes: number;
  walBytes: number;
  seconds: number;
  /** Room that the copy takes while it is made; absent: fetchBytes. */
  spaceBytes?: number;
  /** Of the full point, decompressed. */
  clusterBytes?: number;
  /** How long it will take, and how sure that is. */
  forecast?: RtoForecast;
}

/** The whole answer to "what would be restored", fixed before any byte moves; every later step takes it. */
export interface RecoveryPlan {
  /** Id of the run that owns the target directory; a retry recognises its own work by it. */
  run: string;
  source: string;
  host: string;
  /** Its start, stop and label count, whatever it stands on. */
  base: PointSummary;
  /** Points that make up the base, from the full one to itself; absent when it is a full one. */
  chain?: string[];
  target: Target;
  /** Where the WAL has it, for a transaction or a restore point. */
  found?: TargetPlace;
  timelineChoice: TimelineChoice;
  /** Timeline recovery will end on, and the number given to the server. */
  timeline: number;
  action: TargetAction;
  /** It goes on as a standby: `target` is the newest moment, and it is not promoted whatever `action` says. */
  standby?: StandbyPlan;
  /** listen_addresses of the recovered server; absent: loopback. */
  listen?: string;
  /** Questions whose answer must be true in the recovered cluster, beside the probes of the source. */
  mustHold?: string[];
  legs: WalLeg[];
  into: string;
  port: number;
  /** Tablespace oid -> new absolute path. */
  tablespaces: Record<string, string>;
  settings: MatchedSettings;
  /** Name a non-empty `into` is renamed to. */
  setAside?: string;
  /** A non-empty `into` is used where it is; its WAL, which may be all there is of the newest commits, is renamed to this, inside. */
  walAside?: string;
  /** Of a dump: there is no WAL to replay. */
  dump?: ImportPlan;
  /** Of a cluster: one database; absent: all of them. */
  partial?: PartialPlan;
  estimate: Estimate;
  window: ReachableWindow;
  /** The server's own newest facts are not needed for a restore: the source may be gone. */
  decidedAt: string;
}

/** How the WAL of a directory that is restored in place is named, before the run that did it. */
export const WAL_ASIDE = 'pg_wal.before-';

export const PHASES = ['find', 'fetch', 'replay', 'open', 'prove'] as const;
export type Phase = (typeof PHASES)[number];

export interface FetchEvidence {
  parts: number;
  bytes: number;
  storedBytes: number;
  /** Parts found already done by an earlier attempt. */
  resumedParts: number;
  /** Bytes that stood in the directory already and were not fetched; absent unless it was restored in place. */
  reusedBytes?: number;
  files: number;
}

export interface ReplayEvidence {
  consistentAt: Lsn;
  /** Why recovery stopped, as the server logged it. */
  stopReason: string;
  stoppedAtLsn: Lsn;
  /** ISO 8601 UTC of the last replayed commit; absent when none was replayed. */
  lastCommitAt?: string;
  walBytes: number;
  segments: number;
  timeline: number;
  /** Pages of databases without content that the WAL changes, and that were passed over; absent: there are no such databases. */
  passedOver?: number;
}

/** What an unfinished restore was removed without; absent: a version that could not say. */
export interface Discarded {
  /** What a person must do, with what kept us from it: "drop database x, if it is there: ...". */
  left?: string;
}

export interface OpenEvidence {
  /** libpq-style address: host, port and data directory of the recovered server. */
  host: string;
  port: number;
  dataDirectory: string;
  pid: number;
  state: 'open' | 'paused' | 'standby';
  timeline: number;
  /** Of a standby. */
  follows?: StandbyEvidence;
}

export interface Check {
  name: string;
  ok: boolean;
  expected: string;
  found: string;
  /** Free detail: at most 1 kB. */
  detail?: string;
}

/** Anything but `ok: true` with every check true is a failed restore. */
export interface Proof {
  ok: boolean;
  checks: Check[];
  relations: number;
  rows: number;
  /** How far the recovered state is behind the target, milliseconds; absent for targets that are no time. */
  behindTargetMs?: number;
}

export interface RestoreResult {
  plan: RecoveryPlan;
  phases: Record<Phase, number>;
  rtoMs: number;
  /** Time in a phase that nothing was done but wait for room on a disk, milliseconds; absent when there was none. */
  waitedMs?: Partial<Record<Phase, number>>;
  /** Objective of the source, milliseconds; absent when none is declared. */
  rtoObjectiveMs?: number;
  fetch: FetchEvidence;
  /** Absent: there was nothing to replay. */
  replay?: ReplayEvidence;
  open: OpenEvidence;
  proof: Proof;
  /** The copy is gone when something was brought from it into a server that runs. */
  brought?: Brought;
  setAside?: string;
  report?: StoredReport;
}

/** The .json and the .md of a report stand beside its page, in the store and on the host. */
export interface StoredReport {
  /** Key of the page in the store of the source; encrypted there. */
  key: string;
  /** The same page in the clear on the host that wrote it. */
  file: string;
  host: string;
  /** Hash of its last event, for `lifeboat report verify --head`; absent: a version that had no chain. */
  head?: string;
  /** Begun for people to go on with, on the host alone; absent: there was no incident. */
  postMortem?: string;
}
