import { isUtf8 } from 'node:buffer';
import type { Dirent, Stats } from 'node:fs';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import { fileFailure } from '../../../../io/file-failure.ts';
import { isDatabaseFolder, isEmptied, isLeftOut, isWalFolder, leftOutRelations, segmentOf } from './exclusions.ts';

/** A folder that becomes a tree of the manifest. */
export interface TreeRoot {
  id: string;
  /** Absolute. */
  root: string;
  /** Only this folder below the root: other servers may use the same tablespace location. */
  only?: string;
}

export interface ListJob {
  trees: TreeRoot[];
}

export interface LocalFile {
  path: string;
  type: 'file' | 'directory';
  mode: number;
  mtimeMs: number;
  bytes: number;
  /** Segment of a relation, whose pages have checksums. */
  segment?: number;
  /** Pages that are not as they are in the parent, ascending; only these are read. Absent: all is. */
  changed?: number[];
  /** Sums of its pages, as far as they are known by now. */
  sums?: Uint8Array;
}

/** Pages are told apart by their sums: only of files that are made of whole ones. */
export function isSummed({ segment, bytes }: LocalFile, pageBytes: number): boolean {
  return segment !== undefined && bytes > 0 && bytes % pageBytes === 0;
}

export interface ListedTree extends TreeRoot {
  files: LocalFile[];
  /** What is neither file nor folder and so stays behind; the server leaves it out as well. */
  strange: string[];
  /** Its folder was not there; whether it was dropped, the caller finds out. */
  vanished: boolean;
}

const MODE_BITS = 0o7777;

/** Walks the trees of a running server; what vanishes meanwhile is dropped again by replay. Blocks: for a thread. */
export function answer({ trees }: ListJob): ListedTree[] {
  const roots = new Set(trees.map((tree) => tree.root));
  return trees.map((tree) => {
    const listed: ListedTree = { ...tree, files: [], strange: [], vanished: false };
    walk(listed, roots, '');
    if (listed.files.length === 0) listed.vanished = true;
    return listed;
  });
}

function walk(tree: ListedTree, roots: ReadonlySet<string>, folder: string): void {
  const place = join(tree.root, folder);
  const there = unlessGone(place, () => readdirSync(place, { withFileTypes: true }));
  if (!there && folder === (tree.only ?? '')) tree.vanished = true;
  const entries = (there ?? []).filter(({ name }) => folder !== '' || tree.only === undefined || name === tree.only);
  const leftOut = isDatabaseFolder(folder) ? leftOutRelations(entries.map(({ name }) => name)) : new Set<string>();
  for (const entry of entries) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (leftOut.has(entry.name) || isLeftOut(path, entry.name)) continue;
    add(tree, roots, { folder, path, entry });
  }
}

interface Found {
  folder: string;
  path: string;
  entry: Dirent;
}

function add(tree: ListedTree, roots: ReadonlySet<string>, found: Found): void {
  const { folder, path, entry } = found;
  const type = typeOf(found);
  if (type === 'file' && isWalFolder(folder)) return;
  // Links of tablespaces: tablespace_map has them.
  if (type === 'strange') return void (folder === 'pg_tblspc' || tree.strange.push(path));
  if (entry.name.includes(REPLACEMENT)) refuseOddNames(join(tree.root, folder));
  const place = join(tree.root, path);
  const stats = statOf(place);
  if (!stats) return;
  const { mtimeMs } = stats;
  if (type === 'directory') {
    const mode = entry.isDirectory() ? stats.mode & MODE_BITS : 0o700;
    tree.files.push({ path, type, mode, mtimeMs, bytes: 0 });
    if (!isEmptied(path) && !roots.has(place)) walk(tree, roots, path);
    return;
  }
  const segment = segmentOf(folder, entry.name);
  const pages = segment === undefined ? {} : { segment };
  tree.files.push({ path, type, mode: stats.mode & MODE_BITS, mtimeMs, bytes: stats.size, ...pages });
}

/** The WAL folder, and those that are emptied, may be links to another disk: they are folders in the copy. */
function typeOf({ path, entry }: Found): LocalFile['type'] | 'strange' {
  const isKept = isWalFolder(path) || isEmptied(path);
  if (entry.isDirectory() || (entry.isSymbolicLink() && isKept)) return 'directory';
  return entry.isFile() ? 'file' : 'strange';
}

/** What Node puts in place of bytes that are not UTF-8. A file may also be named so. */
const REPLACEMENT = '\ufffd';

/** A name that no manifest can hold is refused here as in what the server sends. */
function refuseOddNames(folder: string): void {
  const names = unlessGone(folder, () => readdirSync(folder, { encoding: 'buffer' })) ?? [];
  const odd = names.find((name) => !isUtf8(name));
  if (!odd) return;
  throw failure('Precondition', `data directory holds a name that is not UTF-8: ${odd.toString('latin1')}`, {
    place: folder,
    expected: 'names in UTF-8',
    found: odd.toString('hex'),
    hint: 'PostgreSQL makes no such name: move that file out of the data directory',
  });
}

function statOf(path: string): Stats | undefined {
  return unlessGone(path, () => lstatSync(path));
}

function unlessGone<T>(path: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileFailure(path, error);
  }
}
