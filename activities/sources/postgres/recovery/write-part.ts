import { closeSync, constants, fchownSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import { crc32c } from '../../../io/crc32c.ts';
import { writeAll, writeLarge } from '../../../io/direct-write.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { applyIncrement } from './increment-file.ts';
import type { PartJob, Placement } from './part-job.ts';

/** From this size on a piece goes to the disk at once, so that the sync at the end finds little left to do. */
const LARGE_BYTES = 1 << 20;
/** Compared, and written, as a whole. */
const STRETCH_BYTES = 64 * 1024;
const FLAGS = constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW;

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
      write(file, bytes, { job, placement });
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileFailure(path, error);
  }
}

function write(file: number, bytes: Uint8Array, { job, placement }: { job: PartJob; placement: Placement }): void {
  const { path, position, fileBytes } = placement;
  const { owner } = job;
  if (owner || job.isThere) {
    const { uid, gid, size } = fstatSync(file);
    // A change of owner goes through the file system's journal, even when it changes nothing.
    if (owner && (uid !== owner.uid || gid !== owner.gid)) fchownSync(file, owner.uid, owner.gid);
    if (job.isThere && fileBytes !== undefined && size > fileBytes) ftruncateSync(file, fileBytes);
  }
  if (job.isThere) writeDifferent(file, bytes, position);
  else if (bytes.length >= LARGE_BYTES) writeLarge({ file, path }, bytes, position);
  else writeAll(file, bytes, position);
}

const stretch = Buffer.allocUnsafeSlow(STRETCH_BYTES);

/** Most of what stands there is right already: reading it costs less than writing it again. */
function writeDifferent(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; at += STRETCH_BYTES) {
    const wanted = bytes.subarray(at, at + STRETCH_BYTES);
    const count = readSync(file, stretch, 0, wanted.length, position + at);
    if (count === wanted.length && stretch.subarray(0, count).equals(wanted)) continue;
    writeAll(file, wanted, position + at);
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
