import type { FailoverDrillOrder } from './failover-drill.ts';
import type { Carried } from './notice.ts';
import type { PointKind } from './manifest.ts';
import type { Follow } from './standby.ts';
import type { Target, TargetAction, TimelineChoice } from './target.ts';

/** Inputs of the workflows: one object of names and options each, startable by hand with a small JSON. */

export interface BackupOrder {
  source: string;
  /** Free text kept in the point's label. */
  label?: string;
  checkpoint?: 'fast' | 'spread';
  /** Default: full. What cannot be had becomes a full one, that says why (PointSummary.fallback). */
  type?: PointKind;
}

export interface WalOrder {
  source: string;
  /** Which of several streams, from 1, the default. */
  stream?: number;
}

export interface RestoreOrder {
  source: string;
  /** Default: latest. */
  target?: Target;
  /** Default: latest. */
  timeline?: TimelineChoice;
  /** Default: promote. */
  action?: TargetAction;
  /** Absolute directory on the restoring host; default: a new one below the source's scratch folder. */
  into?: string;
  /** Port of the recovered server; default: a free one. */
  port?: number;
  /** Allow `into` to hold something: it is set aside (renamed), never deleted. */
  replace?: boolean;
  /**
   * Use what stands in `into`, a stopped copy of the same cluster: only what differs is fetched. It is written over, nothing of
   * it is kept but its WAL.
   */
  inPlace?: boolean;
  /** Goes on as a standby: behind the newest moment, read-only, never promoted by us. No target, action or other timeline. */
  standby?: boolean;
  /** Default: streaming. */
  follow?: Follow;
  /** "host:port" of the primary, with the connection's user; default: the primary among the servers of the source. */
  fromServer?: string;
  /** Physical replication slot that is there on the primary; default: none. */
  slot?: string;
  /** New place of each tablespace: oid or old location -> new absolute path. */
  tablespaces?: Record<string, string>;
  /** Restore from this point instead of the best one. */
  point?: string;
  /** One database: of a dump, or of a cluster, whose other databases then have no content. */
  onlyDatabase?: string;
  /** One schema of a database. */
  onlySchema?: string;
  /** One table of a database: "name" or "schema.name". */
  onlyTable?: string;
  /** Rows that somebody will take from the copy back into the database, which is looked at before anything is fetched. */
  rows?: RowsWish;
  /** A new database of a server that runs, instead of a cluster of its own. */
  intoDatabase?: string;
  /** Name of the host worker that restores; default: whichever takes the first step. */
  host?: string;
  /** listen_addresses of the recovered server; default: loopback. */
  listen?: string;
  /** SQL whose first value must be true in the recovered cluster, beside the probes of the source. */
  mustHold?: string[];
  /** Only answer what would happen; move no byte. */
  preview?: boolean;
}

export interface RowsWish {
  /** Each "name" or "schema.name". */
  tables: string[];
  /** SQL over the columns of each. */
  where?: string;
}

/** What has happened decides what is done: see workflows/recover.ts. */
export const SCENARIOS = ['recent-loss', 'corruption', 'complete-loss'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface RecoverOrder extends Pick<
  RestoreOrder,
  'source' | 'target' | 'timeline' | 'into' | 'port' | 'replace' | 'tablespaces' | 'point' | 'host' | 'mustHold'
> {
  scenario: Scenario;
  /** Who starts it; they cannot approve it alone. */
  by: string;
  /** Needed where several services stand on the source. */
  service?: string;
  /**
   * corruption: what is kept of the damaged state first. backup: a full backup by its server; files: a copy of the files of a server
   * that is down, on its host; none: it is kept otherwise. Default: backup while the server answers, else files.
   */
  forensic?: Forensic;
  /** Absolute data directory of the server that is down; default: files.dataDirectory of the source. */
  forensicDirectory?: string;
  /** Name of the worker on its host; default: whichever takes the step. */
  forensicHost?: string;
}

export const FORENSICS = ['backup', 'files', 'none'] as const;
export type Forensic = (typeof FORENSICS)[number];

export interface DrillOrder {
  source: string;
  /** Default: a random reachable moment. */
  target?: Target;
  host?: string;
}

export interface VerifyOrder {
  source: string;
  point: string;
}

/** Everything that is stored of a source. */
export interface VerifyAllOrder {
  source: string;
}

export interface VerifyWalOrder {
  source: string;
  /** Only what came since: a time with its offset, or a WAL position. */
  since?: string;
  timeline?: number;
}

export interface CompactWalOrder {
  source: string;
  /** Also the segment in which the newest timeline ends: no stream will make it whole any more. */
  open?: boolean;
}

/** One of `file` and `relation`. */
export interface ExtractOrder {
  source: string;
  point: string;
  /** Path of one file, as `contents` lists it: "base/5/1259". */
  file?: string;
  /** database.schema.name: all segments and forks. */
  relation?: string;
  /** Everything, of a forensic copy. */
  all?: boolean;
  /** Absolute; a file for a file, a folder for a relation. It must not be there. */
  to: string;
  /** Name of the host worker that takes it; default: whichever takes the first step. */
  host?: string;
}

export interface RetentionOrder {
  source: string;
  /** Only say what would go, and why the rest stays. */
  dryRun?: boolean;
}

/** Puts a hold on a point, or takes it off again. */
export interface HoldOrder {
  source: string;
  point: string;
  /** Of a hold. */
  reason?: string;
  release?: boolean;
}

/** What a run tells on when it has ended. */
export interface NoticesOrder {
  source: string;
  /** Workflow id of the run. */
  run: string;
  carried?: Carried;
}

/** What a Schedule starts: a run of `workflow` under its fixed id, or a recorded skip. */
export interface ScheduledOrder {
  workflow: 'backup' | 'drill' | 'failoverDrill' | 'retention' | 'verifyAll' | 'verifyWal';
  input: BackupOrder | DrillOrder | FailoverDrillOrder | RetentionOrder | VerifyAllOrder | VerifyWalOrder;
}

/** Read-only questions that only a worker can answer (it holds keys and stores). */
export type InspectOrder =
  | { what: 'points'; source?: string }
  | { what: 'point'; source?: string; point: string }
  | { what: 'wal'; source: string }
  | { what: 'reachable'; source: string }
  | ContentsQuestion
  | { what: 'forecast'; source?: string }
  | { what: 'doctor' }
  | { what: 'notifiers'; notifier?: string }
  | { what: 'catalog-rebuild'; source?: string };

/** Asks for the files of a point, a page at a time. */
export interface ContentsQuestion {
  what: 'contents';
  source: string;
  point: string;
  /** From 1, the default. */
  page?: number;
  /** Only what stands below this path. */
  under?: string;
  /** With names of relations, for which catalogs are fetched. */
  relations?: boolean;
  /** Name of the host worker that is asked; it has the list in memory when it was asked before. */
  host?: string;
}

/** Asks whether a service could be failed over now. */
export interface ReadyOrder {
  service: string;
  /** Site or node that would become the primary; default: as the plan says, or its standby. */
  to?: string;
}

/** Looks at the servers of a service all the time. */
export interface WatchOrder {
  service: string;
}
