import { closeSync, constants, fchownSync, fdatasyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import { crc32c } from '../../../io/crc32c.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { applyIncrement, writeAll } from './increment-file.ts';
import type { PartJob, Placement } from './part-job.ts';

/** From this size on a piece goes to the disk at once, so that the sync at the end finds little left to do. */
const LARGE_BYTES = 1 << 20;
const FLAGS = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;

/** Writes every piece of a part at its place, each only when its sum is right. Runs in the thread that decoded the part. */
export function use(part: Uint8Array, job: PartJob): void {
  for (const placement of job.placements) writePiece(part, job, placement);
}

function writePiece(part: Uint8Array, job: PartJob, placement: Placement): void {
  const bytes = part.subarray(placement.at, placement.at + placement.bytes);
  check(job, placement, crc32c(bytes));
  const { path, increment } = placement;
  try {
    if (increment) {
      const read = (at: number, count: number): Uint8Array => bytes.subarray(at, at + count);
      return applyIncrement({ path: `increment of ${path}`, bytes: bytes.length, read }, path, increment);
    }
    const file = openFile(placement);
    try {
      if (job.owner) fchownSync(file, job.owner.uid, job.owner.gid);
      writeAll(file, bytes, placement.position);
      if (bytes.length >= LARGE_BYTES) fdatasyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileFailure(path, error);
  }
}

function check(job: PartJob, { path, crc32c: stated }: Placement, found: number): void {
  if (found === stated) return;
  const say = (sum: number): string => `CRC-32C ${sum.toString(16).padStart(8, '0')}`;
  throw failure('Integrity', `${path} came out of part ${job.number} with other bytes`, {
    place: path,
    expected: say(stated),
    found: say(found),
  });
}

function openFile({ path, mode }: Placement): number {
  try {
    return openSync(path, FLAGS, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openSync(path, FLAGS, mode);
  }
}
