import { formatLsn } from '../../../../../workflows/model/lsn.ts';
import type { WalHole } from '../../../../../workflows/model/wal.ts';
import { isKnown } from '../../../../../workflows/model/wal-hole.ts';
import { minimalHole } from '../holes.ts';
import { WAL_LEVEL_MINIMAL } from '../marks.ts';
import type { Before } from '../before.ts';
import { RecordWalker } from '../records.ts';
import { cutBefore } from './cut-before.ts';
import type { Archive } from './store-file.ts';

/** Objects hold at most this much WAL. */
const CHUNK_BYTES = 16 * 2 ** 20;

interface Segment {
  timeline: number;
  start: bigint;
  bytes: Buffer;
}

/** A whole one, and the file that it was read from. */
export type SegmentFile = Segment & { path: string };

/** From where on a segment has WAL that no replay takes, and from where on it is good again, if it is. */
interface Unusable {
  from: number;
  to: number;
}

/**
 * Stores what can be replayed. What was written with wal_level = minimal is a hole, and is Integrity until whoever asked for
 * the files knows of it: only then may the server let go of the segment.
 */
export async function storeSegment(at: Archive, segment: SegmentFile): Promise<void> {
  const { bytes, start, timeline } = segment;
  const { unusable, commits } = read(segment, await cutBefore(at, segment));
  if (!unusable) return put(at, segment, commits);
  const { from, to } = unusable;
  for (const [first, end] of [
    [0, from],
    [to, bytes.length],
  ] as const) {
    const usable = { timeline, start: start + BigInt(first), bytes: bytes.subarray(first, end) };
    await put(at, usable, read(usable).commits);
  }
  const lsn = (offset: number): string => formatLsn(start + BigInt(offset));
  const hole: WalHole = { systemId: at.identity.systemId, timeline, from: lsn(from), to: lsn(to) };
  if (!isKnown(hole, at.passHole)) throw minimalHole('archive_command', hole);
  at.run.log.warn('WAL that no replay takes is passed, as told; a new base is needed', { ...hole });
}

/** Newest commit in each chunk, and the level it was written with; `before` is what a record that begins in front of it begins in. */
function read(
  { start, bytes }: Segment,
  before: readonly Before[] = [],
): { unusable: Unusable | undefined; commits: (number | undefined)[] } {
  let from: number | undefined;
  let to: number | undefined;
  let isHearing = false;
  const records = new RecordWalker((mark) => {
    if (mark.kind !== 'parameters' || !isHearing) return;
    const offset = Math.max(0, Number(mark.lsn - start));
    if (mark.walLevel === WAL_LEVEL_MINIMAL) {
      from ??= offset;
      to = undefined;
    } else if (from !== undefined) to ??= offset;
  });
  for (const page of before) records.push(page.start, page.bytes);
  records.take();
  isHearing = true;
  const commits: (number | undefined)[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    records.push(start + BigInt(at), bytes.subarray(at, at + CHUNK_BYTES));
    commits.push(records.take());
  }
  return { unusable: from === undefined ? undefined : { from, to: to ?? bytes.length }, commits };
}

async function put(
  { identity: { systemId }, vault }: Archive,
  { start, bytes, timeline }: Segment,
  commits: readonly (number | undefined)[],
): Promise<void> {
  for (const [index, lastCommitMicros] of commits.entries()) {
    const at = index * CHUNK_BYTES;
    const commit = lastCommitMicros === undefined ? {} : { lastCommitMicros };
    const piece = { systemId, timeline, startLsn: formatLsn(start + BigInt(at)), ...commit };
    await vault.put(piece, bytes.subarray(at, at + CHUNK_BYTES));
  }
}
