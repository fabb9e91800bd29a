import type { Dirent } from 'node:fs';
import { existsSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileTree } from '../../../../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { WAL_ASIDE } from '../../../../workflows/model/recovery.ts';
import type { Link } from './chain.ts';
import { changedFiles, fileKey, inPlaceFolder } from './changed-file.ts';
import { OLD_CONTROL_FILE, placesOf, rootOf } from './link-places.ts';
import { placeOf } from './place.ts';

/**
 * Leaves what a point needs of the ones that it stands on: the files whose blocks it changes. Everything else in the copy it
 * brings whole, or it is gone. It is our own copy, that nobody has started yet.
 */
export async function clearFor(plan: RecoveryPlan, link: Link): Promise<void> {
  const { kind, trees } = link.reader.manifest;
  const kept = kind === 'full' ? reusable(plan, link) : changedFiles(trees);
  await rm(placeOf(plan).increments, { recursive: true, force: true });
  const inPlace = new Map(
    trees.flatMap((tree) => {
      const folder = inPlaceFolder(tree);
      return folder === undefined ? [] : [[folder, tree.id] as const];
    }),
  );
  for (const id of new Set(['base', ...Object.keys(plan.tablespaces), ...inPlace.values()])) {
    const tree = trees.find((each) => each.id === id) ?? { id, files: [] };
    const root = rootOf(plan, tree);
    if (root !== undefined && existsSync(root))
      await clear(root, '', { tree, folders: foldersOf(tree), kept, inPlace });
  }
}

/** Files of a restore in place that may be what is wanted already. */
function reusable(plan: RecoveryPlan, link: Link): Set<string> {
  if (plan.walAside === undefined) return new Set();
  const placeOfFile = placesOf(plan, link);
  const wanted = link.reader.manifest.trees.flatMap((tree) =>
    tree.files.filter((file) => placeOfFile(tree, file)).map((file) => fileKey(tree, file.path)),
  );
  return new Set([...wanted, fileKey({ id: 'base' }, OLD_CONTROL_FILE)]);
}

interface Clearing {
  tree: FileTree;
  folders: ReadonlySet<string>;
  kept: ReadonlySet<string>;
  /** Folders of tablespaces in the data directory, which are trees of their own. */
  inPlace: ReadonlyMap<string, string>;
}

/** Entries of a folder that are looked at together. */
const AT_ONCE = 64;

async function clear(root: string, folder: string, use: Clearing): Promise<void> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  for (let at = 0; at < entries.length; at += AT_ONCE)
    await Promise.all(entries.slice(at, at + AT_ONCE).map((entry) => clearEntry(root, { folder, entry }, use)));
}

async function clearEntry(
  root: string,
  { folder, entry }: { folder: string; entry: Dirent },
  use: Clearing,
): Promise<void> {
  const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
  const place = join(root, path);
  if (isNotOurs(use, path)) return;
  if (entry.isDirectory() && use.folders.has(path)) return clear(root, path, use);
  if (use.kept.has(fileKey(use.tree, path)) && (await isFileOfItsOwn(place))) return;
  await rm(place, { recursive: true, force: true });
}

/** A file is written where it stands: what a link leads to, or a copy made of links has too, would change as well. */
async function isFileOfItsOwn(place: string): Promise<boolean> {
  const found = await lstat(place);
  return found.isFile() && found.nlink === 1;
}

/** WAL that was kept, by this run or an earlier one; and in the folder of a tablespace, what another server has there. */
function isNotOurs({ tree, folders, inPlace }: Clearing, path: string): boolean {
  if (tree.id === 'base') return path.startsWith(WAL_ASIDE) || inPlace.has(path);
  return !path.includes('/') && !folders.has(path);
}

/** Those that are listed, and those that listed files stand in. */
function foldersOf({ files }: FileTree): Set<string> {
  const folders = new Set<string>();
  for (const { path, type } of files) {
    if (type === 'directory') folders.add(path);
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) folders.add(path.slice(0, at));
  }
  return folders;
}
