import type { BlockSizes } from './increment-file.ts';

/** A file of changed blocks on this host, and the older file that it brings up to date; plain data. */
export interface ApplyJob {
  from: string;
  to: string;
  sizes: BlockSizes;
}
