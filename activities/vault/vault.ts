import type { Manifest, PointSummary } from '../../workflows/model/manifest.ts';
import type { PointMarks } from '../../workflows/model/retention.ts';
import type { CheckedNews } from './marks.ts';
import type { PartSink } from '../sources/part-sink.ts';
import type { BackupFacts, PointReader, WalVault } from '../sources/source.ts';

/**
 * The format on a store, for one source (docs/format.md). Nothing here knows which store or which kind of source it is.
 * Failures: the store's own, and Integrity (not what it should be), NotFound (no such point), Denied (no usable key).
 */
export interface Vault extends AsyncDisposable {
  /** Opens a point for writing. Parts of an unpublished point are invisible to everyone and removed by `discard`. */
  begin(point: string): Promise<PointDraft>;
  /** Publishes a draft by writing its manifest last, put-if-absent. A repeat returns the same summary. */
  publish(point: string): Promise<PointSummary>;
  /** Removes every unpublished point whose id starts with `prefix`, except `keep`. Never touches a published one. */
  discard(prefix: string, keep?: string): Promise<{ removed: number }>;
  /** Published points, oldest first; a damaged manifest is reported in `damaged`, and hides no other point. */
  points(): Promise<Points>;
  open(point: string): Promise<PointReader>;
  /** Integrity unless every part of a point is stored in its full length; reads its manifest and no part. */
  checkStored(point: string): Promise<void>;
  /** Reads every part of a point and checks every byte of it. */
  verify(
    point: string,
    onBytes: (bytes: number) => void,
  ): Promise<{ parts: number; bytes: number; storedBytes: number }>;
  /** `points`, and what is known of each beside its manifest. Summaries in `known` are not read again. */
  catalog(known?: ReadonlyMap<string, PointSummary>): Promise<Catalog>;
  /** What is known of one point beside its manifest. */
  marks(point: string): Promise<PointMarks>;
  /** From now on nobody may remove it; a repeat replaces the reason. */
  hold(point: string, hold: NonNullable<PointMarks['held']>): Promise<void>;
  release(point: string): Promise<void>;
  /** Notes how a point was found when it was read or restored. */
  noteChecked(point: string, news: CheckedNews): Promise<void>;
  isPublished(point: string): Promise<boolean>;
  /** Withdraws a published point: it is none from then on. Its parts are removed by `sweep`. A repeat does nothing. */
  retire(point: string): Promise<void>;
  /** Removes what is left of points that are none. May be repeated, and goes on where it ended. */
  sweep(rules: SweepRules): Promise<Swept>;
  readonly uses: UseBoard;
  readonly wal: WalVault;
  /** Evidence and reports, kept beside the points; repeat with the same bytes is fine. */
  putReport(name: string, bytes: Buffer): Promise<{ key: string }>;
  /** Names of reports that begin with `prefix`, ascending. */
  reportNames(prefix: string): Promise<string[]>;
  /** NotFound; Integrity when it is not what its name says. */
  readReport(name: string): Promise<Buffer>;
  /** Does nothing when it is absent. */
  removeReport(name: string): Promise<void>;
  /** A number higher than all that were taken, by which what is moved tells a run from one that is late. A repeat gets the same. */
  takeEpoch(order: { run: string; atLeast: number }): Promise<number>;
}

export interface Points {
  /** What can be restored. */
  points: PointSummary[];
  /** What is kept as evidence: apart, so that nobody takes it for a backup who does not ask for it. */
  forensic: PointSummary[];
  damaged: { point: string; reason: string }[];
}

export interface Catalog extends Points {
  /** Of published points that have any. */
  marks: Map<string, PointMarks>;
}

export interface SweepRules {
  nowMs: number;
  /** An unfinished point into which nothing came for this long is rubbish. */
  abandonedAfterMs: number;
  /** Published points that are known to the caller: they are not looked at. */
  isPoint(point: string): boolean;
  /** Unfinished points of runs that are known to work. */
  isSpared(point: string): boolean;
}

export interface Swept {
  removed: string[];
  /** What the store would not delete, and why. */
  refused: { place: string; reason: string }[];
}

/** Who uses what of a source: a run that reads a point says so first, and a run that removes says what it will remove. */
export interface UseNote {
  workflowId: string;
  runId: string;
  /** 'all' while it is not chosen yet. */
  points: string[] | 'all';
  /** It reads the WAL behind them, too; of a removal: it removes WAL. */
  wal: boolean;
}

export interface UseBoard {
  /** Writes or replaces the note of one user. */
  put(name: string, note: UseNote): Promise<void>;
  read(name: string): Promise<UseNote | undefined>;
  /** All notes; `at` by the store's clock. */
  list(): Promise<{ name: string; note: UseNote; at: string }[]>;
  /** Removes every note whose name starts so. */
  remove(prefix: string): Promise<void>;
  /** When a note was written, by the store's clock, ISO 8601. */
  storeTime(name: string): Promise<string | undefined>;
}

export interface PointDraft extends PartSink, AsyncDisposable {
  /** Stores the manifest beside the parts, encrypted and signed but not published. */
  finish(facts: BackupFacts): Promise<Manifest>;
}

/** Key material, loaded; see docs/format.md "Keys". Buffers are never logged or serialised. */
export interface KeyRing {
  /** 32 bytes; wraps the key-encryption keys. Absent on a host that may only write through the recovery key. */
  root: { id: string; key: Buffer };
  /** PEM, RSA public key of the offline recovery key; absent when none is configured. */
  recoveryPublic?: string;
  /** PEM, Ed25519 private key that signs manifests. */
  signing: { id: string; privatePem: string };
  /** PEM, Ed25519 public keys whose signatures are accepted; includes our own. */
  trusted: { id: string; publicPem: string }[];
}

export interface VaultOptions {
  source: string;
  keys: KeyRing;
  /** zstd level, 1 to 19. */
  compressionLevel: number;
  partBytes: number;
  /** Parts in flight at once: bounds memory. */
  parallel: number;
  /** Version of lifeboat, for the manifest. */
  tool: string;
}
