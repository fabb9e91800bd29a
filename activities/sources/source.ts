import type { ZodType } from 'zod';
import type { Run } from '../io/run.ts';
import type { ForensicCopying } from './forensic-copying.ts';
import type { LogShipping, WalVault } from './log-shipping.ts';
import type { PointFiles } from './point-files.ts';
import type { PartSink } from './part-sink.ts';
import type { BackupFacts, BackupOptions, PointReader } from './point-io.ts';
import type { RowRescue } from './row-rescue.ts';
import type { CheckWants, SourceCheck } from './source-check.ts';
import type { UpstreamWish } from './standby-wishes.ts';
import type { Identity } from '../../workflows/model/manifest.ts';
import type { Brought } from '../../workflows/model/partial.ts';
import type {
  FetchEvidence,
  OpenEvidence,
  Proof,
  RecoveryPlan,
  ReplayEvidence,
} from '../../workflows/model/recovery.ts';

/** An engine as the rest sees it. What it reads and writes of points and of WAL stands beside it. */
export type {
  ReadableWal,
  WalVault,
  WalPiece,
  ShipOptions,
  TargetSearch,
  TargetFound,
  ArchiveOptions,
  LogShipping,
} from './log-shipping.ts';
export type { PointReader, PartUse, BackupFacts, BackupOptions } from './point-io.ts';
export type { CommitSearch } from './stored-wal-care.ts';

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
  /** Stops the server and removes what this run made on this host, nothing else; an old directory set aside is put back. */
  discard(plan: RecoveryPlan): Promise<void>;
  /**
   * Removes what this run made on a server that goes on and that has no name there yet. It comes before `discard`, which takes away
   * what says that there is something; it needs that server, which `discard` does not.
   */
  dropBrought?(plan: RecoveryPlan): Promise<void>;
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
