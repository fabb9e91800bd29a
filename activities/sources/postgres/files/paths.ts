import type { FileEntry, FileTree } from '../../../../workflows/model/manifest.ts';
import { CONFIG_TREE } from '../backup/config-files.ts';
import { changedFile } from '../recovery/changed-file.ts';

const CONFIG = `${CONFIG_TREE}:/`;

/** Where a file stands in the data directory once it is restored; tablespaces behind their links. */
export function serverPath(tree: Pick<FileTree, 'id'>, path: string): string {
  if (tree.id === 'base') return path;
  return tree.id === CONFIG_TREE ? CONFIG + path : `pg_tblspc/${tree.id}/${path}`;
}

/** The same for a file of a point of any kind: changed blocks go by the name of the file that they change. */
export function pathOf(tree: FileTree, file: FileEntry, isIncrement: boolean): { path: string; changed: boolean } {
  const changed = isIncrement ? changedFile(tree, file) : undefined;
  return { path: serverPath(tree, changed ?? file.path), changed: changed !== undefined };
}

/** A file of a relation, by the place of its database and its file node. */
export interface RelationFile {
  /** "base/5", "global", "pg_tblspc/16400/PG_18_202506291/5". */
  folder: string;
  node: string;
  fork: string;
  segment: number;
}

const RELATION = /^(global|base\/\d+|pg_tblspc\/\d+\/PG_\d+_\d+\/\d+)\/(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;

export function relationFile(path: string): RelationFile | undefined {
  const [, folder, node, fork = 'main', segment = '0'] = RELATION.exec(path) ?? [];
  if (folder === undefined || node === undefined) return undefined;
  return { folder, node, fork, segment: Number(segment) };
}
