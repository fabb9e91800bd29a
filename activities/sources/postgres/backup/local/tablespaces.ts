import { constants } from 'node:fs';
import { access, lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import { translateFileError } from '../../../../io/file-failure.ts';
import type { ListedTree, TreeRoot } from './list-files.ts';
import type { Obstacle } from './obstacle.ts';

/** Tablespaces that pg_tblspc links to, each with its `folder`, or the first that this host or user cannot read. */
export async function findTablespaces(path: string, folder: string): Promise<TreeRoot[] | Obstacle> {
  const links = await readdir(join(path, 'pg_tblspc'), { withFileTypes: true });
  const spaces: TreeRoot[] = [];
  for (const { name: id } of links.filter((entry) => entry.isSymbolicLink() && /^\d+$/.test(entry.name))) {
    const root = await readlink(linkOf(path, id)).catch(undefinedIfGone);
    if (root === undefined) continue;
    const code = await access(join(root, folder), constants.R_OK | constants.X_OK).then(() => undefined, codeOf);
    if (code === undefined) spaces.push({ id, root, only: folder });
    else if (await isThere(linkOf(path, id))) {
      const hint = 'mount it on the host of the worker where the server has it, readable by the user of the worker';
      return { expected: `files of tablespace ${id} in ${root}`, found: `tablespace ${id}: ${code}`, hint };
    }
  }
  return spaces;
}

/**
 * Refuses a copy that lacks a tablespace: one that `map` (tablespace_map as pg_backup_stop gives it, manual 9.28.3) names and
 * that was not read, or one whose folder vanished although it was not dropped. Gives the oids that the map names: a
 * tablespace that is younger than the map is made by replay.
 */
export async function checkTablespaces(path: string, map: string, listed: ListedTree[]): Promise<Set<string>> {
  const named = new Set(oidsOf(map));
  const read = new Set(listed.map(({ id }) => id));
  const unread = [...named].find((id) => !read.has(id));
  if (unread !== undefined) throw lacking(unread, 'a tablespace of the backup that was not read');
  for (const { id, root, only = '', vanished } of listed) {
    const place = join(root, only);
    if (!vanished && (await isThere(place))) continue;
    if (id === 'base' || (await isThere(linkOf(path, id)))) throw lacking(id, `${place} vanished while it was read`);
  }
  return named;
}

/** Lines "oid path", in which a backslash escapes line ends and backslashes. */
export function oidsOf(map: string): string[] {
  return [...map.matchAll(/(\d+) (?:\\[^]|[^\\\n])*(?:\n|$)/gy)].map(([, oid = '']) => oid);
}

function lacking(id: string, found: string): Error {
  return failure(
    'Integrity',
    `base backup lacks files of ${id === 'base' ? 'the data directory' : `tablespace ${id}`}`,
    {
      place: id,
      expected: 'every folder of the cluster readable here until the end of the backup',
      found,
      hint: 'nothing of this backup is kept: check the mounts of this host, then run it again',
    },
  );
}

function linkOf(path: string, id: string): string {
  return join(path, 'pg_tblspc', id);
}

async function isThere(path: string): Promise<boolean> {
  const stats = await translateFileError(path, () => lstat(path).catch(undefinedIfGone));
  return stats !== undefined;
}

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return code;
}

function undefinedIfGone(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
