import type { ZodType } from 'zod';
import type { Run } from '../io/run.ts';
import type { ForensicCopying } from './forensic-copying.ts';
import type { PartSink } from './part-sink.ts';
import type { PointFiles } from './point-files.ts';
import type { RowRescue } from './row-rescue.ts';
import type { CheckWants, SourceCheck } from './source-check.ts';
import type { UpstreamWish, WalFileWish } from './standby-wishes.ts';
import type { CommitSearch, StoredWalCare } from './stored-wal-care.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import type { ServerWish } from '../../workflows/model/server-role.ts';
import type { FileTree, Identity, Manifest, PartRef, PointKind } from '../../workflows/model/manifest.ts';
import type { Commit } from '../../workflows/model/last-good.ts';
import type { Brought } from '../../workflows/model/partial.ts';
import type {
  FetchEvidence,
  OpenEvidence,
  Proof,
  RecoveryPlan,
  ReplayEvidence,
  TargetPlace,
} from '../../workflows/model/recovery.ts';
import type { Route } from '../../workflows/model/reachable.ts';
import type { MarkTarget } from '../../workflows/model/target.ts';
import type { TimelineHistory, WalHole, WalObject, WalStatus } from '../../workflows/model/wal.ts';

/** A stored point, ready to be read: its manifest was verified. */
export interface PointReader {
  readonly manifest: Manifest;
  /** Plaintext of one part; Integrity when a byte of it is not what the manifest says. */
  readPart(part: PartRef): Promise<Buffer>;
  /** The same, but the plaintext stays in the thread that decoded it: what `use` says is done with it there. */
  usePart(part: PartRef, use: PartUse): Promise<void>;
  /** Another point of the same source, like the one that this stands on. NotFound, Integrity. */
  other(point: string): Promise<PointReader>;
}

/**
 * Work on the plaintext of a part, in the thread that has it: no second thread, and memory that is used again instead of
 * memory that moves. Once begun it is waited for, even when the run ends meanwhile: what it does is over when the call is.
 */
export interface PartUse {
  /** Address of a module that exports `use(bytes, job)`; it keeps nothing of the bytes, and returns plain data. */
  module: string;
  /** Plain data: it is cloned. */
  job: unknown;
}

/** What the source says of the backup it just streamed; the vault turns it into a Manifest. It is a full one unless it says else. */
export type BackupFacts = Omit<Manifest, 'format' | 'point' | 'source' | 'tool' | 'kind'> & {
  trees: FileTree[];
  kind?: PointKind;
};

export interface BackupOptions {
  checkpoint: 'fast' | 'spread';
  label: string;
  /** Which server of the cluster sends it; absent: the primary where there are several, else the one. */
  from?: ServerWish;
  /** Longest wait for a standby to replay what its primary had written when the backup was asked for, milliseconds; default 0. */
  standbyWaitMs?: number;
  /** Bytes a second; absent = as fast as it goes. */
  maxRateBytes?: number;
  /** Take only what changed since this point. A source that cannot takes a full one, and says why (BackupFacts.fallback). */
  since?: { kind: Exclude<PointKind, 'full'>; parent: PointReader };
  /** Later ones will be of that kind: a source that needs to keep something for it does. */
  increments?: boolean;
  /** Of the WAL that is stored of a cluster: a server that is behind it was left. Undefined while there is only the first one. */
  newestTimeline?(systemId: string): Promise<number | undefined>;
}

/** The vault's WAL of one source, as the engine sees it. */
export interface WalVault {
  /** Objects of one cluster that reach beyond `fromLsn` and begin before `toLsn`, ascending; all timelines unless one is named. */
  list(query: { systemId: string; timeline?: number; fromLsn?: Lsn; toLsn?: Lsn }): Promise<WalObject[]>;
  /** Stores [startLsn, startLsn + bytes); 'present' when the same bytes are there already; Integrity when others are. */
  put(range: WalPiece, bytes: Buffer): Promise<'stored' | 'present'>;
  /** Plaintext of one object; Integrity when it is not what its name says. */
  read(object: WalObject): Promise<Buffer>;
  /** The same, but the plaintext stays in the thread that decoded it: what is done with it there says the answer. */
  use(object: WalObject, use: PartUse): Promise<unknown>;
  /** Clusters of which WAL is stored, as system identifiers. */
  systems(): Promise<string[]>;
  remove(object: WalObject): Promise<void>;
  /** Keeps a file that is no WAL to replay under its name; Integrity when another with that name is there. */
  putFile(systemId: string, name: string, content: Buffer): Promise<'stored' | 'present'>;
  histories(systemId: string): Promise<TimelineHistory[]>;
  /** Raw bytes of a history file; undefined when there is none. */
  readHistory(systemId: string, timeline: number): Promise<Buffer | undefined>;
  putHistory(systemId: string, timeline: number, content: Buffer): Promise<'stored' | 'present'>;
}

export type WalPiece = Pick<WalObject, 'systemId' | 'timeline' | 'startLsn'> & { lastCommitMicros?: number };

export interface ShipOptions {
  /** A piece of an open segment is shipped at least this often, milliseconds. */
  shipEveryMs: number;
  /** Heartbeat record for an idle cluster, milliseconds; 0 = none. */
  heartbeatEveryMs: number;
  /** WAL held in memory while the store is slow or down, bytes; when full, reading stops and the server's slot keeps the rest. */
  spoolBytes: number;
  slot: string;
  /** Which server of the cluster sends it; absent: the primary where there are several, else the one. */
  from?: ServerWish;
  /** How often the other servers of the cluster are looked at, milliseconds; default half a minute. */
  lookEveryMs?: number;
  /** Commits wait for us: WAL is stored as it comes, and the server hears of it at once, whatever `shipEveryMs` says. */
  synchronous?: boolean;
  /**
   * Somebody has been told that this WAL is lost and that a new base is needed: the stream goes on behind it. Any other
   * hole, and one that has grown since, ends `ship` with Integrity and HoleEvidence.
   */
  passHole?: WalHole;
  /** Files come from the server's archiver, instead of a stream. */
  archive?: ArchiveOptions;
}

/** A transaction or a restore point, and what may lead to it, best first. */
export interface TargetSearch {
  target: MarkTarget;
  routes: readonly Route[];
  /** All WAL of the cluster. */
  objects: readonly WalObject[];
  histories: readonly TimelineHistory[];
}

export interface TargetFound {
  /** The first of the routes that leads to it, and where it is; absent when none does. */
  hit?: { index: number; place: TargetPlace };
  /** Where it was seen in front of the end of a base, which so cannot lead to it. */
  before: TargetPlace[];
}

/** Where the archiver of the server hands files over. */
export interface ArchiveOptions {
  /** Name of the worker on the server's host. */
  host: string;
  /** Absolute path of a unix socket. */
  socket: string;
  /** Its permission bits. */
  socketMode: number;
}

export type { CommitSearch } from './stored-wal-care.ts';

/** Only what can do points in time has it. */
export interface LogShipping extends StoredWalCare {
  /** Streams until the signal stops it. Flush positions are reported to the server only for what the vault has confirmed. */
  ship(vault: WalVault, options: ShipOptions): Promise<void>;
  /** As the server that `from` chooses sees it, which is the one that has the slots. */
  status(
    vault: WalVault,
    at: Pick<ShipOptions, 'slot' | 'from' | 'archive'> & { streams?: number },
  ): Promise<WalStatus>;
  /** Reads the stored WAL for a target of which nothing else says where it is. May take as long as reading all of it. */
  find(vault: WalVault, search: TargetSearch): Promise<TargetFound>;
  /**
   * The whole file, zeroes behind what is stored of it. Undefined only when the vault was asked and has nothing of it, or
   * nothing of an open segment that the server has not itself: what cannot be asked or read is thrown.
   */
  file(vault: WalVault, wish: WalFileWish): Promise<Buffer | undefined>;
  /** Every commit in the stored WAL from a position on, in order and in batches; it ends at the first hole. */
  commits(vault: WalVault, search: CommitSearch): AsyncIterable<Commit[]>;
}

/** What stands where a recovery left its cluster. */
export interface Standing {
  /** The directory is still that of this run. */
  ours: boolean;
  running: boolean;
  /** It takes connections on the port of the plan. */
  answers: boolean;
}

/** Steps of a restore on the restoring host, in this order; each may be repeated and continues where it stopped. */
export interface Restoring {
  /** Folder for restores that name no directory, and for drills. */
  readonly scratch: string;
  /** Server that a standby of this plan streams from. Precondition when it cannot; only what has WAL has it. */
  upstream?(wish: UpstreamWish): Promise<{ host: string; port: number }>;
  /** Every reason why this host or the target directory cannot take the restore; touches nothing. */
  check(plan: RecoveryPlan): Promise<void>;
  /** Checks the host and the target directory and makes it ours; sets an old one aside when the plan says so. */
  prepare(plan: RecoveryPlan): Promise<void>;
  fetch(plan: RecoveryPlan, from: PointReader): Promise<FetchEvidence>;
  /** Starts the server on the copy and replays to the target; returns when it stopped there for the right reason. */
  replay?(plan: RecoveryPlan, wal: WalVault): Promise<ReplayEvidence>;
  /** Promotes, or leaves it paused, as the plan's action says. Promotion reads the end of the WAL once more. */
  open(plan: RecoveryPlan, wal: WalVault): Promise<OpenEvidence>;
  /** `from` opens the point, for whoever compares the copy with it. */
  prove(plan: RecoveryPlan, replay?: ReplayEvidence, from?: () => Promise<PointReader>): Promise<Proof>;
  /** Whether what was recovered still stands and runs where it was left; changes nothing. */
  look?(plan: RecoveryPlan): Promise<Standing>;
  /**
   * Brings what the plan says from the proven copy into a server that runs, under a name of its own until it is proven there.
   * A repeat goes on, or finds it done; `finish` comes too late for it.
   */
  bring?(plan: RecoveryPlan): Promise<Brought>;
  /** Ends what is not to stay: spool, helper files; stops the server for action shutdown. */
  finish(plan: RecoveryPlan): Promise<void>;
  /** Stops the server and removes what this run made, nothing else; an old directory set aside is put back. */
  discard(plan: RecoveryPlan): Promise<void>;
}

/** A restore that goes on to a moment behind the point by WAL. */
export interface Recovery extends Restoring {
  replay(plan: RecoveryPlan, wal: WalVault): Promise<ReplayEvidence>;
}

export type { CheckWants, SourceCheck } from './source-check.ts';

/** One source, opened. Opening connects to nothing: a restore must work when the source is gone. */
export interface SourceSession extends AsyncDisposable {
  identity(): Promise<Identity>;
  /** Tries what backup, WAL stream and proof need (version, role, settings), each with the setting to change. */
  check(wants?: CheckWants): Promise<SourceCheck[]>;
  backup(out: PartSink, options: BackupOptions): Promise<BackupFacts>;
  readonly recovery: Restoring;
  readonly log?: LogShipping;
  /** Only what keeps files has it. */
  readonly files?: PointFiles;
  /** Only what can be asked for rows, beside those that go on, has it. */
  readonly rows?: RowRescue;
  /** Only what has files on a host has it. */
  readonly forensic?: ForensicCopying;
}

export interface Source {
  readonly kind: string;
  readonly schema: ZodType;
  /** Its points are dumps, whole and of one moment: it streams no WAL, and knows no increments. */
  readonly dumps?: true;
  describe(options: unknown): string;
  open(name: string, options: unknown, run: Run): SourceSession;
}

export interface SourceOf<Options> {
  kind: string;
  schema: ZodType<Options>;
  dumps?: true;
  describe(options: Options): string;
  open(name: string, options: Options, run: Run): SourceSession;
}

export function defineSource<Options>(definition: SourceOf<Options>): Source {
  const { kind, schema, dumps } = definition;
  return Object.freeze({
    kind,
    schema,
    ...(dumps ? { dumps } : {}),
    describe: (options: unknown) => definition.describe(schema.parse(options)),
    open: (name: string, options: unknown, run: Run) => definition.open(name, schema.parse(options), run),
  });
}
