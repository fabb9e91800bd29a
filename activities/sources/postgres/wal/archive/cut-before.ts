import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatLsn, segmentName } from '../../../../../workflows/model/lsn.ts';
import type { Before } from '../before.ts';
import { PAGE_BYTES, storedBefore } from '../before.ts';
import type { Archive } from './store-file.ts';
import type { SegmentFile } from './store-segment.ts';

/** At the front of a segment (xlog_internal.h): whether a record goes on in it, and how much of it. */
const AT = { info: 2, address: 8, goesOn: 16 };
const XLP_FIRST_IS_CONTRECORD = 0x0001;
/** What a change of wal_level takes; longer ones say nothing of whether a segment can be replayed. */
const LONGEST_BYTES = 64;

/**
 * The last page in front of a segment, when a short record begins in it and ends here: each segment is read by itself, and what
 * its end cuts would be heard in neither. It stands beside the file as long as the server has it, and in the vault then.
 */
export async function cutBefore({ identity, vault, run }: Archive, segment: SegmentFile): Promise<Before[]> {
  const { bytes, path, start, timeline } = segment;
  const goesOn = bytes.readUInt32LE(AT.goesOn);
  const isCut = (bytes.readUInt16LE(AT.info) & XLP_FIRST_IS_CONTRECORD) !== 0;
  if (!isCut || goesOn > LONGEST_BYTES) return [];
  const { systemId, segmentBytes } = identity;
  const name = segmentName(timeline, start - 1n, segmentBytes);
  const page = await lastPage(join(dirname(path), name), segmentBytes);
  const at = start - BigInt(PAGE_BYTES);
  // A file that was used again has the name of what it will be.
  if (page?.readBigUInt64LE(AT.address) === at) return [{ start: at, bytes: page }];
  return storedBefore({ vault, run, resume: { timeline, startLsn: formatLsn(start) } }, systemId);
}

async function lastPage(path: string, segmentBytes: number): Promise<Buffer | undefined> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, segmentBytes - PAGE_BYTES);
    return bytesRead === PAGE_BYTES ? buffer : undefined;
  } catch {
    return undefined;
  }
}
