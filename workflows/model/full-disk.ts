import { findFailure } from './failure.ts';

/** What a failure rests on whose disk was full: more room mends it, and nothing else does. */
export interface FullDisk {
  /** Folder on the disk. */
  path: string;
  /** To an unprivileged user. */
  freeBytes: number;
}

export interface FullDiskEvidence {
  fullDisk: FullDisk;
}

/** The full disk that a failure is evidence of. */
export function fullDiskOf(error: unknown): FullDisk | undefined {
  return (findFailure(error)?.details?.[1] as Partial<FullDiskEvidence> | undefined)?.fullDisk;
}
