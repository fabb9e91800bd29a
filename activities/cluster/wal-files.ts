import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { formatLsn, parseLsn, parseSegmentName, segmentName, segmentStart } from '../../workflows/model/lsn.ts';
import type { PageDigests, WalTrace } from '../../workflows/model/rejoin.ts';
import { timelineAt } from '../../workflows/model/timeline.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { NodeUse } from './node.ts';

const PAGE_BYTES = 8192;
/** So much of the newest common WAL is compared: two servers that went on alone differ in the first record that each wrote. */
const COMPARED_BYTES = 4n << 20n;
const DIGITS = 16;

/** The files of pg_wal, and on which timelines the server was. */
export interface WalFolder {
  path: string;
  names: ReadonlySet<string>;
  segmentBytes: number;
}

type Line = Pick<WalTrace, 'timeline' | 'ancestors'>;

export async function walFolder({ node }: Pick<NodeUse, 'node'>, segmentBytes: number): Promise<WalFolder> {
  const path = join(node.dataDir, 'pg_wal');
  const names = new Set(await translateFileError(path, () => readdir(path)));
  return { path, names, segmentBytes };
}

/** Newest timeline of which there is a segment; 0 when there is none. */
export function newestTimeline({ names, segmentBytes }: WalFolder): number {
  return [...names].reduce((most, name) => Math.max(most, parseSegmentName(name, segmentBytes)?.timeline ?? 0), 0);
}

/** Segment in which a position is. Where a timeline was left in the midst of one it stands under both numbers: the newer goes on. */
export function fileAt({ names, segmentBytes }: WalFolder, line: Line, position: bigint): string | undefined {
  const start = formatLsn(segmentStart(position, segmentBytes));
  const oldest = timelineAt(line, start);
  const candidates = [line.timeline, ...line.ancestors.map(({ timeline }) => timeline).toReversed()];
  return candidates
    .filter((timeline) => timeline >= oldest)
    .map((timeline) => segmentName(timeline, position, segmentBytes))
    .find((name) => names.has(name));
}

/** Beginning of the oldest segment from which on all are there up to `end`. */
export function oldestBefore(folder: WalFolder, line: Line, end: Lsn): Lsn | undefined {
  const size = BigInt(folder.segmentBytes);
  let oldest: Lsn | undefined;
  for (let at = segmentStart(parseLsn(end) - 1n, folder.segmentBytes); at >= 0n; at -= size) {
    if (fileAt(folder, line, at) === undefined) break;
    oldest = formatLsn(at);
  }
  return oldest;
}

/** What is compared when WAL has to be alike up to `toLsn`: inside of one segment, from the beginning of a page. */
export function comparedRange(toLsn: Lsn, segmentBytes: number): { fromLsn: Lsn; toLsn: Lsn } | undefined {
  const to = parseLsn(toLsn);
  if (to <= 0n) return undefined;
  const start = segmentStart(to - 1n, segmentBytes);
  const least = to - COMPARED_BYTES;
  const from = least > start ? least - (least % BigInt(PAGE_BYTES)) : start;
  return { fromLsn: formatLsn(from), toLsn };
}

/** Undefined when it is not there, or not all of it. */
export async function digestPages(
  folder: WalFolder,
  line: Line,
  { fromLsn, toLsn }: { fromLsn: Lsn; toLsn: Lsn },
): Promise<PageDigests | undefined> {
  const [from, to] = [parseLsn(fromLsn), parseLsn(toLsn)];
  const name = fileAt(folder, line, from);
  if (name === undefined) return undefined;
  const bytes = await readSpan(join(folder.path, name), Number(from % BigInt(folder.segmentBytes)), Number(to - from));
  if (!bytes) return undefined;
  const pages: string[] = [];
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const page = bytes.subarray(at, at + PAGE_BYTES);
    pages.push(createHash('sha256').update(page).digest('hex').slice(0, DIGITS));
  }
  return { fromLsn, toLsn, pages };
}

async function readSpan(path: string, start: number, length: number): Promise<Buffer | undefined> {
  const bytes = Buffer.alloc(length);
  try {
    const file = await open(path, 'r');
    try {
      const { bytesRead } = await file.read(bytes, 0, length, start);
      return bytesRead === length ? bytes : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    // Recycled since it was listed.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return translateFileError(path, () => Promise.reject(error as Error));
  }
}
