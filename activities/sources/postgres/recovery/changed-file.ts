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

/** Names a file among those of all trees. */
export function fileKey({ id }: Pick<FileTree, 'id'>, path: string): string {
  return `${id}/${path}`;
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
