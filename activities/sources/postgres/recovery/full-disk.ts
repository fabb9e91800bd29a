import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure, failureFacts } from '../../../../workflows/model/failure.ts';
import type { FullDiskEvidence } from '../../../../workflows/model/full-disk.ts';
import { fullDiskOf } from '../../../../workflows/model/full-disk.ts';
import { formatBytes } from '../../../../workflows/model/units.ts';

/** errno(3) as our failures carry it. */
const FULL = new Set(['ENOSPC', 'EDQUOT']);

/** Runs a step; that its disk is full is said with what a person must free, as Precondition with FullDiskEvidence. */
export async function sayingFull<T>(folder: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const { found, place = folder } = failureFacts(error);
    if (fullDiskOf(error) || found === undefined || !FULL.has(found)) throw error;
    throw await fullDisk(folder, { place, found });
  }
}

export async function fullDisk(folder: string, said: { place: string; found: string }): Promise<Error> {
  // What is our own stands beside it; a tablespace may stand on another disk, under a name that begins alike.
  const ours = [folder, `${folder}.lifeboat`].some((own) => said.place === own || said.place.startsWith(`${own}/`));
  const path = ours ? folder : dirname(said.place);
  const freeBytes = await freeBytesOf(path).catch(() => 0);
  const evidence: FullDiskEvidence = { fullDisk: { path, freeBytes } };
  return failure('Precondition', `disk of ${path} is full: ${formatBytes(freeBytes)} free`, {
    place: said.place,
    expected: 'room for what the restore writes',
    found: said.found === '' ? 'no room' : said.found,
    hint: 'free space there; what has been restored stays, and it continues',
    evidence,
  });
}

export async function freeBytesOf(path: string): Promise<number> {
  const disk = await statfs(path);
  return disk.bavail * disk.bsize;
}
