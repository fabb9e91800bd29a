import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isEmptied, isWalFolder, segmentOf } from '../backup/local/exclusions.ts';
import type { ListedTree, ListJob } from '../backup/local/list-files.ts';

/** A tree with everything that is in it. */
export interface WholeTree extends ListedTree {
  links: { path: string; target: string; mtimeMs: number }[];
  /** What could not be looked at, and why. */
  unread: { path: string; reason: string }[];
}

const MODE_BITS = 0o7777;

/** Walks the trees of a server that is down: nothing is left out, and what cannot be looked at is told. Blocks: for a thread. */
export function answer({ trees }: ListJob): WholeTree[] {
  const places = { roots: new Set(trees.map(({ root }) => root)), spaces: new Set(trees.map(({ id }) => id)) };
  return trees.map((tree) => {
    const listed: WholeTree = { ...tree, files: [], strange: [], vanished: false, links: [], unread: [] };
    walk(listed, places, '');
    return listed;
  });
}

interface Places {
  roots: ReadonlySet<string>;
  /** Oids of tablespaces that are trees of their own. */
  spaces: ReadonlySet<string>;
}

function walk(tree: WholeTree, places: Places, folder: string): void {
  for (const name of namesIn(tree, folder)) {
    if (folder === '' && tree.only !== undefined && name !== tree.only) continue;
    const path = folder === '' ? name : `${folder}/${name}`;
    try {
      add(tree, places, { folder, name, path });
    } catch (error) {
      tree.unread.push({ path, reason: codeOf(error) });
    }
  }
}

function namesIn(tree: WholeTree, folder: string): string[] {
  let found: Buffer[];
  try {
    found = readdirSync(join(tree.root, folder), { encoding: 'buffer' });
  } catch (error) {
    tree.unread.push({ path: folder === '' ? '.' : folder, reason: codeOf(error) });
    return [];
  }
  const names: string[] = [];
  for (const name of found) {
    if (isUtf8(name)) names.push(name.toString());
    else tree.unread.push({ path: `${folder}/${name.toString('latin1')}`, reason: 'a name that is not UTF-8' });
  }
  return names.sort();
}

function add(tree: WholeTree, places: Places, at: { folder: string; name: string; path: string }): void {
  const { folder, name, path } = at;
  const place = join(tree.root, path);
  const stats = statsOf(path, place);
  const { mtimeMs, size: bytes } = stats;
  const mode = stats.mode & MODE_BITS;
  if (stats.isSymbolicLink()) {
    const isSpace = folder === 'pg_tblspc' && places.spaces.has(name);
    if (!isSpace) tree.links.push({ path, target: readlinkSync(place), mtimeMs });
  } else if (stats.isDirectory()) {
    tree.files.push({ path, type: 'directory', mode, mtimeMs, bytes: 0 });
    if (!places.roots.has(place)) walk(tree, places, path);
  } else if (stats.isFile()) {
    const segment = segmentOf(folder, name);
    tree.files.push({ path, type: 'file', mode, mtimeMs, bytes, ...(segment === undefined ? {} : { segment }) });
  } else tree.strange.push(path);
}

/** The WAL folder, and its neighbours, may be links to another disk: they are a part of the cluster. */
function statsOf(path: string, place: string): Stats {
  const stats = lstatSync(place);
  return stats.isSymbolicLink() && (isWalFolder(path) || isEmptied(path)) ? statSync(place) : stats;
}

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return code;
}
