import type { DumpFacts, DumpSummary } from './dump.ts';
import { summariseDump } from './dump.ts';
import type { ForensicFacts, ForensicSummary } from './forensic.ts';
import { summariseForensic } from './forensic.ts';
import type { Lsn } from './lsn.ts';
import type { ServerRole } from './server-role.ts';

/** Who a cluster is. Compared before every write: two clusters never mix in one vault. */
export interface Identity {
  /** "postgres", or "postgres-logical". */
  kind: string;
  /** system_identifier of pg_control, decimal. */
  systemId: string;
  /** server_version_num, like 180004. */
  serverVersion: number;
  timeline: number;
  /** Bytes of a WAL segment (wal_segment_size). */
  segmentBytes: number;
  /** Total size of the databases, bytes; an estimate. */
  sizeBytes: number;
}

/** One stored part: an independent object that can be fetched, decrypted and checked alone. */
export interface PartRef {
  /** 1, 2, 3 ... */
  number: number;
  /** Plaintext bytes (before compression). */
  bytes: number;
  /** Bytes as stored (compressed, encrypted). */
  storedBytes: number;
  /** SHA-256 of the stored bytes, hex. */
  sha256: string;
}

/** Where `bytes` bytes of a file stand inside a part's plaintext. */
export interface FileSlice {
  part: number;
  /** Offset in the part's plaintext, bytes. */
  at: number;
  bytes: number;
  /** CRC-32C of these bytes, unsigned. */
  crc32c: number;
}

export interface FileEntry {
  /** Path relative to its tree's root, "/" separated: "base/5/1259". */
  path: string;
  type: 'file' | 'directory' | 'symlink';
  /** Permission bits, decimal value of the octal mode. */
  mode: number;
  /** ISO 8601, UTC. */
  mtime: string;
  bytes: number;
  /** Symlink target. */
  target?: string;
  /** CRC-32C of the whole file, unsigned; absent for what is not a file. */
  crc32c?: number;
  /** In file order; empty for an empty file. */
  slices?: FileSlice[];
  /** Where the sums of its blocks stand, of all that the file has, in their order (docs/format.md "Block sums"). */
  sums?: FileSlice[];
}

/** A tree of files: the data directory (id "base") or one tablespace (id = its oid). */
export interface FileTree {
  id: string;
  /** Where the tablespace stood on the source; absent for "base". */
  location?: string;
  files: FileEntry[];
}

/** A page that is not what the cluster wrote. */
export interface DamagedPage {
  tree: string;
  path: string;
  /** Number of the page in its relation; its checksum is wrong. */
  block?: number;
  /** LSN on the page that lies beyond the end of the cluster's WAL. */
  lsn?: Lsn;
}

/** Settings that a recovering server must match or raise (manual 26.4.3 "Administrator's Overview" of hot standby). */
export type MatchedSettings = Record<string, string>;

/** full: whole by itself; incremental: what changed since the newest point; differential: what changed since the newest full one. */
export const POINT_KINDS = ['full', 'incremental', 'differential'] as const;
export type PointKind = (typeof POINT_KINDS)[number];

/** The server that a backup was taken from. */
export interface TakenFrom {
  /** "db2:5432" */
  server: string;
  role: ServerRole;
  /** Why it is the primary although a standby was preferred. */
  instead?: string;
  /** Of a standby whose primary was not seen, what the other servers answered: it is as new as what the standby had received. */
  unseen?: string;
}

/** What is inside a point; written last, compressed, encrypted and signed. docs/format.md is its specification. */
export interface Manifest {
  format: 'lifeboat-manifest/1';
  /** Point id: unique within the source. */
  point: string;
  source: string;
  kind: PointKind;
  /** lifeboat version that wrote it. */
  tool: string;
  identity: Identity;
  /** WAL that must be present for the point to be consistent: [startLsn, stopLsn] on `timeline`. */
  timeline: number;
  startLsn: Lsn;
  stopLsn: Lsn;
  /** ISO 8601 UTC by the server's clock. */
  startedAt: string;
  stoppedAt: string;
  /** Every transaction below it (64 bits, decimal) had ended when the backup did; absent when it could not be asked. */
  oldestXid?: string;
  /**
   * consistent: as it is; WAL is not needed, and LSNs and timeline only say when it was. forensic: the files of a server that was
   * down, as they were found, which is no backup; LSNs are those of its last checkpoint.
   */
  consistency: 'consistent-after-wal' | 'consistent' | 'forensic';
  /** Point whose files it changes; absent for a full one. */
  parent?: string;
  /** Why this is a full one although less was ordered. */
  fallback?: string;
  /** Absent where the source names one server, which nobody had to choose. */
  takenFrom?: TakenFrom;
  /** How sums of blocks are made, hex; present when files have `sums`. */
  blockSums?: { key: string };
  /** True when page checksums were verified while the files were read. */
  pageChecksums: boolean;
  /** Pages that are wrong on the source itself, ten thousand at most; absent when there is none. */
  damaged?: DamagedPage[];
  settings: MatchedSettings;
  parts: PartRef[];
  trees: FileTree[];
  /** Of a dump: what it holds. Its trees are then no cluster. */
  dump?: DumpFacts;
  /** Of a forensic copy: what it was taken of. */
  forensic?: ForensicFacts;
}

/** A point in a listing: small, JSON safe. */
export interface PointSummary {
  point: string;
  source: string;
  kind: PointKind;
  /** Point whose files it changes; absent for a full one. */
  parent?: string;
  /** Why this is a full one although less was ordered. */
  fallback?: string;
  takenFrom?: TakenFrom;
  systemId: string;
  serverVersion: number;
  timeline: number;
  segmentBytes: number;
  startLsn: Lsn;
  stopLsn: Lsn;
  startedAt: string;
  stoppedAt: string;
  oldestXid?: string;
  /** Of this point's own parts: an incremental one needs those of its parents too. */
  bytes: number;
  storedBytes: number;
  parts: number;
  files: number;
  tool: string;
  /** Pages that were wrong on the source: how many, and the first few in words. */
  damaged?: { pages: number; first: string[] };
  /** A dump: what it holds. */
  dump?: DumpSummary;
  /** A forensic copy, which is no backup: nothing is restored from it, and nothing stands on it. */
  forensic?: ForensicSummary;
}

/** Whether a point is consistent only with WAL of the vault. */
export function needsWal({ dump, forensic }: Pick<PointSummary, 'dump' | 'forensic'>): boolean {
  return dump === undefined && forensic === undefined;
}

const DAMAGED_SHOWN = 5;

/** "base/5/16384 page 7": what a person looks up in pg_filenode_relation. */
export function describeDamage(pages: DamagedPage[]): NonNullable<PointSummary['damaged']> {
  const first = pages.slice(0, DAMAGED_SHOWN).map(({ tree, path, block, lsn }) => {
    const place = tree === 'base' ? path : `pg_tblspc/${tree}/${path}`;
    return block === undefined ? `${place} with LSN ${lsn}, beyond the end of WAL` : `${place} page ${block}`;
  });
  return { pages: pages.length, first };
}

export function summarise(manifest: Manifest): PointSummary {
  const sum = (pick: (part: PartRef) => number): number =>
    manifest.parts.reduce((total, part) => total + pick(part), 0);
  const { point, source, kind, timeline, startLsn, stopLsn, startedAt, stoppedAt, tool } = manifest;
  const { systemId, serverVersion, segmentBytes } = manifest.identity;
  return {
    ...{
      point,
      source,
      kind,
      systemId,
      serverVersion,
      timeline,
      segmentBytes,
      startLsn,
      stopLsn,
      startedAt,
      stoppedAt,
    },
    bytes: sum((part) => part.bytes),
    storedBytes: sum((part) => part.storedBytes),
    parts: manifest.parts.length,
    files: manifest.trees.reduce((total, tree) => total + tree.files.length, 0),
    tool,
    ...(manifest.oldestXid === undefined ? {} : { oldestXid: manifest.oldestXid }),
    ...(manifest.parent === undefined ? {} : { parent: manifest.parent }),
    ...(manifest.fallback === undefined ? {} : { fallback: manifest.fallback }),
    ...(manifest.takenFrom === undefined ? {} : { takenFrom: manifest.takenFrom }),
    ...(manifest.damaged === undefined ? {} : { damaged: describeDamage(manifest.damaged) }),
    ...(manifest.dump === undefined ? {} : { dump: summariseDump(manifest.dump) }),
    ...(manifest.forensic === undefined ? {} : { forensic: summariseForensic(manifest.forensic) }),
  };
}
