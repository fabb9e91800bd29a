import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Unread } from '../../../../workflows/model/forensic.ts';
import type { TreeRoot } from '../backup/local/list-files.ts';
import { isWhole } from './control-state.ts';
import type { DownServer } from './down-server.ts';

interface Found {
  trees: TreeRoot[];
  /** Tablespaces that are not to be had on this host. */
  unread: Unread[];
}

/** Tablespaces that pg_tblspc links to; of each the one folder that is this cluster's. */
export async function foundTablespaces(server: DownServer): Promise<Found> {
  const found: Found = { trees: [], unread: [] };
  const folder = join(server.directory, 'pg_tblspc');
  for (const id of await readdir(folder).catch(() => [])) {
    if (!/^\d+$/.test(id)) continue;
    try {
      const root = await readlink(join(folder, id));
      const only = ownFolder(await readdir(root), server);
      if (only === undefined) found.unread.push({ ...lost(id), reason: `no folder of this cluster in ${root}` });
      else found.trees.push({ id, root, only });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      // A folder in place of a link is a part of the data directory.
      if (code !== 'EINVAL') found.unread.push({ ...lost(id), reason: code });
    }
  }
  return found;
}

function lost(id: string): Pick<Unread, 'tree' | 'path'> {
  return { tree: 'base', path: `pg_tblspc/${id}` };
}

/** "PG_18_202506291", by major version and catalog (catalog_version_no of pg_control). */
function ownFolder(names: string[], { control, major }: DownServer): string | undefined {
  const own = names.filter((name) => name.startsWith(`PG_${major ?? ''}`)).sort();
  if (!isWhole(control)) return own.at(-1);
  return own.find((name) => name.endsWith(`_${control.catalogVersion}`));
}
