import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseSegmentName } from '../../workflows/model/lsn.ts';
import { historyFileName, parseHistory } from '../../workflows/model/timeline.ts';
import type { TimelineHistory, WalObject } from '../../workflows/model/wal.ts';
import { translateFileError } from '../io/file-failure.ts';
import type { NodeUse } from './node.ts';
import { walFolder } from './wal-files.ts';

export interface OwnWalWish {
  systemId: string;
  segmentBytes: number;
  /** Segments that end before are left out. */
  fromLsn: Lsn;
  /** First byte behind the last record: what stands in a segment behind it is of another time. */
  endLsn?: Lsn;
}

/** WAL that a server has itself, as the WAL of a vault is read. */
export interface OwnWal {
  list(query: { timeline?: number; fromLsn?: Lsn }): Promise<WalObject[]>;
  read(object: WalObject): Promise<Buffer>;
  histories(): Promise<TimelineHistory[]>;
}

export async function ownWal(use: Pick<NodeUse, 'node'>, wish: OwnWalWish): Promise<OwnWal> {
  const { path, names } = await walFolder(use, wish.segmentBytes);
  const objects = [...names].flatMap((name) => objectOf(path, name, wish) ?? []);
  const wanted = objects.toSorted((a, b) => a.timeline - b.timeline || compareLsn(a.startLsn, b.startLsn));
  return {
    list: ({ timeline, fromLsn = '0/0' }) =>
      Promise.resolve(
        wanted.filter((each) => (timeline ?? each.timeline) === each.timeline && compareLsn(each.endLsn, fromLsn) > 0),
      ),
    read: async ({ key, startLsn, endLsn }) => {
      const bytes = await translateFileError(key, () => readFile(key));
      return bytes.subarray(0, lsnDistanceBytes(startLsn, endLsn));
    },
    histories: async () => {
      const found = [...names].filter((name) => /^[0-9A-F]{8}\.history$/.test(name));
      return Promise.all(
        found.map(async (name) => parseHistory(parseInt(name, 16), await readFile(join(path, name), 'utf8'))),
      );
    },
  };
}

function objectOf(folder: string, name: string, wish: OwnWalWish): WalObject | undefined {
  const { systemId, segmentBytes, fromLsn, endLsn } = wish;
  const segment = parseSegmentName(name, segmentBytes);
  if (!segment) return undefined;
  const startLsn = formatLsn(segment.start);
  if (endLsn !== undefined && compareLsn(startLsn, endLsn) >= 0) return undefined;
  const end = formatLsn(segment.start + BigInt(segmentBytes));
  if (compareLsn(end, fromLsn) <= 0) return undefined;
  const last = endLsn !== undefined && compareLsn(end, endLsn) > 0 ? endLsn : end;
  const { timeline } = segment;
  return { systemId, timeline, startLsn, endLsn: last, key: join(folder, name), storedBytes: segmentBytes };
}

/** Files that say what a server did behind a position: its control file, the histories, and the segments. */
export async function evidenceFiles(
  use: Pick<NodeUse, 'node'>,
  wish: OwnWalWish,
): Promise<{ name: string; path: string; bytes: number }[]> {
  const { dataDir } = use.node;
  const { path, names } = await walFolder(use, wish.segmentBytes);
  const own = [...names].filter(
    (name) => historyFileName(parseInt(name, 16)) === name || objectOf(path, name, wish) !== undefined,
  );
  const files = [
    { name: 'pg_control', path: join(dataDir, 'global', 'pg_control') },
    ...own.toSorted().map((name) => ({ name, path: join(path, name) })),
  ];
  return Promise.all(
    files.map(async (file) => ({ ...file, bytes: (await translateFileError(file.path, () => stat(file.path))).size })),
  );
}
