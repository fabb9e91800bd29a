import type { FileTree } from '../../../../workflows/model/manifest.ts';
import type { PartialPlan } from '../../../../workflows/model/partial.ts';
import { hasHollow } from '../../../../workflows/model/partial.ts';
import { serverPath } from '../files/paths.ts';

/** A file in the folder of a database: of the data directory, or of a tablespace. */
const OF_DATABASE = /^(?:base|pg_tblspc\/\d+\/PG_\d+_\d+)\/(\d+)\/([^/]+)$/;

/** Says of which version the folder is: the server will not touch one without. */
const VERSION_FILE = 'PG_VERSION';

/**
 * Whether only the size of a file is wanted. The map that says where the catalogs of a database are is one of those: as zeros
 * it ends every session that comes to such a database, and no more than that; with a good one the session would find catalogs
 * without rows, which the whole server does not survive (relcache.c, load_critical_index).
 */
export function leavesOut(partial: PartialPlan | undefined): (tree: Pick<FileTree, 'id'>, path: string) => boolean {
  if (!partial || !hasHollow({ partial })) return () => false;
  const kept = new Set(partial.kept);
  return (tree, path) => {
    const [, database, name] = OF_DATABASE.exec(serverPath(tree, path)) ?? [];
    return database !== undefined && name !== VERSION_FILE && !kept.has(Number(database));
  };
}

/** Oid of the database that a path of the server's names, as its log has it: "base/16384/16385_vm"; undefined for a shared one. */
export function databaseIn(path: string): number | undefined {
  const [, database] = OF_DATABASE.exec(path) ?? [];
  return database === undefined ? undefined : Number(database);
}
