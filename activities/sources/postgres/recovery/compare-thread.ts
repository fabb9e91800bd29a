import { closeSync, constants, fchownSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { crc32c } from '../../../io/crc32c.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { serveJobs } from '../../../io/thread-side.ts';
import type { CompareJob, Placement } from './part-job.ts';

const FLAGS = constants.O_RDWR | constants.O_NOFOLLOW;

/** Whether all pieces of a part stand at their places. */
serveJobs(({ placements, owner }: CompareJob) => {
  let isThere = true;
  // Each of them, though one is enough to know: files that are too long are cut on the way.
  for (const placement of placements) isThere = stands(placement, owner) && isThere;
  return { result: isThere, moved: [] };
});

let memory = Buffer.alloc(0);

function stands(placement: Placement, owner: CompareJob['owner']): boolean {
  const { path, position, bytes, crc32c: wanted, fileBytes } = placement;
  try {
    const file = openSync(path, FLAGS);
    try {
      if (owner) fchownSync(file, owner.uid, owner.gid);
      const { size } = fstatSync(file);
      if (fileBytes !== undefined && size > fileBytes) ftruncateSync(file, fileBytes);
      return size >= position + bytes && crc32c(read(file, placement)) === wanted;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw fileFailure(path, error);
  }
}

function read(file: number, { position, bytes }: Placement): Buffer {
  if (memory.length < bytes) memory = Buffer.allocUnsafeSlow(bytes);
  let done = 0;
  for (let count = -1; done < bytes && count !== 0; done += count)
    count = readSync(file, memory, done, bytes - done, position + done);
  return memory.subarray(0, done);
}
