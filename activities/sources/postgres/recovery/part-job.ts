import type { RunAs } from '../../../io/run-command.ts';
import type { BlockSizes } from './increment-file.ts';

/** A piece of a part's plaintext, and where it belongs. */
export interface Placement {
  /** Absolute path of the file; made when it is absent. */
  path: string;
  mode: number;
  /** Offset in the part's plaintext, bytes. */
  at: number;
  bytes: number;
  /** Offset in the file, bytes. */
  position: number;
  /** CRC-32C that these bytes must have, unsigned. */
  crc32c: number;
  /** Length of the file whose last piece this is. */
  fileBytes?: number;
  /** The piece is a whole file of changed blocks, and they are written into the file at `path`, which must be there. */
  increment?: BlockSizes;
}

/** One part to be checked and written by the thread that has its bytes; plain data. */
export interface PartJob {
  number: number;
  placements: Placement[];
  /** Who is to own the files; absent: whoever we are. */
  owner?: RunAs;
  /** Most of it may stand at its place: only what differs is written, and files that are longer are cut. */
  isThere?: true;
}

/** Pieces that may stand at their places already. */
export type CompareJob = Pick<PartJob, 'placements' | 'owner'>;
