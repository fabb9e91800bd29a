import type { PointSummary } from '../../workflows/model/manifest.ts';

/** A file that a server asks for while it recovers (manual 26.3.5, restore_command). */
export interface WalFileWish {
  /** Of a segment or a timeline history; of any other name there is nothing. */
  name: string;
  /** Data directory of the server that asks: it says of which cluster. */
  data: string;
  /** Where the WAL stands that it has itself. */
  walFolder: string;
  /** Of which cluster, where there is no data directory: then only of histories, unless the size of its segments is told too. */
  systemId?: string;
  segmentBytes?: number;
  /** Only a segment that is stored to its end. */
  wholeOnly?: boolean;
  /** How long what cannot be had now is asked for again, milliseconds. */
  waitMs: number;
  /** Tablespaces that the WAL makes are to be made in the data directory, wherever the source made them. */
  keepInside?: boolean;
}

/** What a standby is to stream from. */
export interface UpstreamWish {
  /** What it is made of. */
  base: PointSummary;
  /** Timeline that its WAL out of the vault ends on. */
  timeline: number;
  /** "db1:5432"; absent: the primary among the servers of the source. */
  server?: string;
  /** Its slot there. */
  slot?: string;
}
