import type { FileTree, Manifest, PartRef, PointKind } from '../../workflows/model/manifest.ts';
import type { ServerWish } from '../../workflows/model/server-role.ts';

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
