import type { ForensicFacts, Unread } from '../../../../workflows/model/forensic.ts';
import type { FileTree, Identity, Manifest } from '../../../../workflows/model/manifest.ts';
import { isoTime } from '../../../io/clock.ts';
import { orAborted } from '../../../io/or-aborted.ts';
import type { Run } from '../../../io/run.ts';
import { threadModule } from '../../../io/thread.ts';
import type { DownWish } from '../../forensic-copying.ts';
import type { PartSink } from '../../part-sink.ts';
import type { BackupFacts } from '../../source.ts';
import type { ListJob, TreeRoot } from '../backup/local/list-files.ts';
import type { FilesRead } from '../backup/local/read-parts.ts';
import { readFiles } from '../backup/local/read-parts.ts';
import { checkFileCount } from '../backup/most-files.ts';
import { PartNumbers } from '../backup/packer.ts';
import type { PostgresOptions } from '../options.ts';
import { changedSince, refuseStarted, refuseWorkedOn } from './changed.ts';
import { isWhole } from './control-state.ts';
import type { DownServer } from './down-server.ts';
import { factsOf, findDownServer } from './down-server.ts';
import type { WholeTree } from './list-whole.ts';
import { foundTablespaces } from './tablespaces.ts';

const LIST_WHOLE = threadModule('list-whole', import.meta.url).href;
/** Beyond every LSN: of files that nobody writes to every page is checked. */
const EVERY_PAGE = 2n ** 64n - 1n;
const USUAL = { pageBytes: 8192, pagesPerSegment: 131_072 };
const MOST_TOLD = 10_000;

interface Use {
  out: PartSink;
  wish: DownWish;
  run: Run;
}

/** Copies all files of a server that is down, as they are: data directory, WAL, tablespaces. See ForensicCopying. */
export async function copyDownServer(options: PostgresOptions, use: Use): Promise<BackupFacts> {
  const { wish, run } = use;
  const server = await findDownServer(options, wish);
  const startedAt = isoTime(run.clock.nowMs());
  const { trees, unread } = await foundTablespaces(server);
  const roots = [...trees, { id: 'base', root: server.directory }];
  const listed = await listTrees(roots, use);
  const read = await readAll(server, listed, use);
  await refuseStarted(server);
  const changed = changedSince(listed, await listTrees(roots, use));
  refuseWorkedOn(server, changed);
  const identity = { ...server.cluster, sizeBytes: sizeOf(read) };
  return {
    ...{ identity, ...positionsOf(server, identity), startedAt, stoppedAt: isoTime(run.clock.nowMs()) },
    ...{ consistency: 'forensic', pageChecksums: hasChecksums(server), settings: settingsOf(server) },
    ...{ parts: read.parts, trees: read.trees.map((tree) => withLinks(tree, listed)) },
    ...(read.damaged.length > 0 ? { damaged: read.damaged } : {}),
    forensic: {
      ...{ ...factsOf(server), ...unreadFacts([...unread, ...unlisted(listed)], read) },
      ...(changed.length > 0 ? { changed: changed.slice(0, MOST_TOLD), changedCount: changed.length } : {}),
    },
  };
}

async function listTrees(trees: TreeRoot[], { out, run }: Use): Promise<WholeTree[]> {
  run.progress({ phase: 'copy', note: 'listing files' });
  const job: ListJob = { trees };
  const listed = await orAborted(run.signal, () => out.ask<WholeTree[]>({ module: LIST_WHOLE, job }));
  checkFileCount(listed.reduce((count, { files }) => count + files.length, 0));
  const strange = listed.flatMap((tree) => tree.strange);
  if (strange.length > 0) run.log.warn('neither file nor folder, so not in the copy', { paths: strange });
  return listed;
}

function readAll({ control }: DownServer, trees: WholeTree[], { out, run }: Use): Promise<FilesRead> {
  const sizes = isWhole(control) ? control.sizes : undefined;
  const { pageBytes, pagesPerSegment } = sizes ?? USUAL;
  return readFiles({
    ...{ out, run, trees, numbers: new PartNumbers(), asFound: true },
    limits: { partBytes: out.partBytes, pageBytes, pagesPerSegment },
    ...(sizes?.pageChecksums ? { since: EVERY_PAGE } : {}),
  });
}

function sizeOf({ trees }: FilesRead): number {
  return trees.reduce((sum, { files }) => files.reduce((bytes, file) => bytes + file.bytes, sum), 0);
}

type Positions = Pick<Manifest, 'timeline' | 'startLsn' | 'stopLsn'>;

function positionsOf({ control }: DownServer, { timeline }: Identity): Positions {
  if (!isWhole(control)) return { timeline, startLsn: '0/0', stopLsn: '0/0' };
  const { redoLsn, checkpointLsn } = control.state;
  return { timeline, startLsn: redoLsn, stopLsn: checkpointLsn };
}

function hasChecksums({ control }: DownServer): boolean {
  return isWhole(control) && control.sizes.pageChecksums;
}

/** By the names of those that say how a cluster was made. */
function settingsOf({ control }: DownServer): Manifest['settings'] {
  if (!isWhole(control)) return {};
  const { pageBytes, pagesPerSegment, pageChecksums } = control.sizes;
  return {
    ...{ block_size: String(pageBytes), segment_size: String(pagesPerSegment) },
    data_checksums: pageChecksums ? 'on' : 'off',
  };
}

function withLinks(tree: FileTree, listed: readonly WholeTree[]): FileTree {
  const links = listed.find(({ id }) => id === tree.id)?.links ?? [];
  const entries = links.map(({ path, target, mtimeMs }) => ({
    ...{ path, target, type: 'symlink' as const, mode: 0o777, mtime: isoTime(mtimeMs), bytes: 0 },
  }));
  return { ...tree, files: [...tree.files, ...entries] };
}

function unlisted(listed: readonly WholeTree[]): Unread[] {
  return listed.flatMap(({ id, unread }) => unread.map((each) => ({ tree: id, ...each })));
}

function unreadFacts(first: Unread[], { unread }: FilesRead): Pick<ForensicFacts, 'unread' | 'unreadCount'> {
  const count = first.length + (unread?.count ?? 0);
  if (count === 0) return {};
  return { unread: [...first, ...(unread?.first ?? [])].slice(0, MOST_TOLD), unreadCount: count };
}
