import type { FileEntry, FileTree } from '../../../../workflows/model/manifest.ts';

const PREFIX = 'INCREMENTAL.';
/** Where relations stand in the data directory; everywhere in a tablespace. */
const RELATIONS = /^(?:base\/|global\/|pg_tblspc\/)/;

/** Path of the file whose changed blocks this file holds, in the same tree; undefined for any other file. */
export function changedFile({ id }: FileTree, { path, type }: FileEntry): string | undefined {
  const at = path.lastIndexOf('/') + 1;
  if (type !== 'file' || !path.startsWith(PREFIX, at)) return undefined;
  const hasRelations = id === 'base' ? RELATIONS.test(path) : /^\d+$/.test(id);
  return hasRelations ? path.slice(0, at) + path.slice(at + PREFIX.length) : undefined;
}

/** Folder in the data directory of a tablespace that stands there itself (manual 19.17, allow_in_place_tablespaces). */
export function inPlaceFolder({ id, location }: Pick<FileTree, 'id' | 'location'>): string | undefined {
  return location === `pg_tblspc/${id}` ? location : undefined;
}

/** Names a file among those of all trees. One in the data directory has one name, whether it came with that or by itself. */
export function fileKey(tree: Pick<FileTree, 'id' | 'location'>, path: string): string {
  const folder = inPlaceFolder(tree);
  return folder === undefined ? `${tree.id}/${path}` : `base/${folder}/${path}`;
}

/** Every file that a point brings up to date, by its key. */
export function changedFiles(trees: readonly FileTree[]): Set<string> {
  const keys = new Set<string>();
  for (const tree of trees) {
    for (const file of tree.files) {
      const path = changedFile(tree, file);
      if (path !== undefined) keys.add(fileKey(tree, path));
    }
  }
  return keys;
}
