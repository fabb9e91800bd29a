import type { PartUse } from './point-io.ts';
import type { WalFileWish } from './standby-wishes.ts';
import type { CommitSearch, StoredWalCare } from './stored-wal-care.ts';
import type { Commit } from '../../workflows/model/last-good.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import type { Route } from '../../workflows/model/reachable.ts';
import type { TargetPlace } from '../../workflows/model/recovery.ts';
import type { ServerWish } from '../../workflows/model/server-role.ts';
import type { MarkTarget } from '../../workflows/model/target.ts';
import type { TimelineHistory, WalHole, WalObject, WalStatus } from '../../workflows/model/wal.ts';

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

/** WAL of a cluster that is only read: that of the vault, or what a server has itself. */
export type ReadableWal = Pick<WalVault, 'list' | 'read' | 'histories'>;

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

/** Only what can do points in time has it. */
export interface LogShipping extends StoredWalCare {
  /** Streams until the signal stops it. Flush positions are reported to the server only for what the vault has confirmed. */
  ship(vault: WalVault, options: ShipOptions): Promise<void>;
  /** As the server that `from` chooses sees it, which is the one that has the slots. `left`: those of streams that are no more. */
  status(
    vault: WalVault,
    at: Pick<ShipOptions, 'slot' | 'from' | 'archive'> & { streams?: number; left?: readonly string[] },
  ): Promise<WalStatus>;
  /**
   * Drops the slot of a stream that is no more on the server that `from` chooses; a repeat finds it absent. Busy while somebody
   * reads it, or none of the others (unless there are to be none) keeps all WAL from where the vault ends; Precondition when it is
   * no physical one.
   */
  dropSlot(
    vault: WalVault,
    at: Pick<ShipOptions, 'slot' | 'from'> & { others: readonly string[] },
  ): Promise<'dropped' | 'absent'>;
  /** Reads the stored WAL for a target of which nothing else says where it is. May take as long as reading all of it. */
  find(vault: WalVault, search: TargetSearch): Promise<TargetFound>;
  /**
   * The whole file, zeroes behind what is stored of it. Undefined only when the vault was asked and has nothing of it, or
   * nothing of an open segment that the server has not itself: what cannot be asked or read is thrown.
   */
  file(vault: WalVault, wish: WalFileWish): Promise<Buffer | undefined>;
  /** Every commit in WAL from a position on, in order and in batches; it ends at the first hole. */
  commits(wal: ReadableWal, search: CommitSearch): AsyncIterable<Commit[]>;
}
