import type { Dirent, Stats } from 'node:fs';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
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
}

export interface ListedTree extends TreeRoot {
  files: LocalFile[];
  /** What is neither file nor folder and so stays behind; the server leaves it out as well. */
  strange: string[];
}

const MODE_BITS = 0o7777;

/** Walks the trees of a running server; what vanishes meanwhile is dropped again by replay. Blocks: for a thread. */
export function listFiles({ trees }: ListJob): ListedTree[] {
  const roots = new Set(trees.map((tree) => tree.root));
  return trees.map((tree) => {
    const listed: ListedTree = { ...tree, files: [], strange: [] };
    walk(listed, roots, '');
    return listed;
  });
}

function walk(tree: ListedTree, roots: ReadonlySet<string>, folder: string): void {
  const entries = readFolder(join(tree.root, folder)).filter(
    ({ name }) => folder !== '' || tree.only === undefined || name === tree.only,
  );
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

/** The WAL folder may be a link to another disk: it is a folder in the copy. */
function typeOf({ path, entry }: Found): LocalFile['type'] | 'strange' {
  if (entry.isDirectory() || (entry.isSymbolicLink() && isWalFolder(path))) return 'directory';
  return entry.isFile() ? 'file' : 'strange';
}

function readFolder(path: string): Dirent[] {
  return unlessGone(path, () => readdirSync(path, { withFileTypes: true })) ?? [];
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
