/**
 * What a base backup leaves out, as the server's own does (manual 55.4 BASE_BACKUP; src/backend/backup/basebackup.c). Paths are
 * relative to the data directory, or for a tablespace to its folder, "/" between.
 */

/** Folders that a starting server empties or fills anew: kept, without what is in them. */
const EMPTIED = new Set([
  ...['pg_stat_tmp', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots', 'pg_subtrans'],
  // WAL comes from the vault.
  ...['pg_wal/archive_status', 'pg_wal/summaries'],
]);

const NAMES = new Set([
  ...['postgresql.auto.conf.tmp', 'current_logfiles.tmp', 'backup_label', 'tablespace_map', 'backup_manifest'],
  ...['postmaster.pid', 'postmaster.opts', '.DS_Store'],
]);

const PREFIXES = ['pgsql_tmp', 'pg_internal.init'];

/** Read when everything else is there, so that it stands apart. */
export const CONTROL_FILE = 'global/pg_control';

export function isEmptied(folder: string): boolean {
  return EMPTIED.has(folder);
}

/** Only its folders are kept. */
export function isWalFolder(folder: string): boolean {
  return folder === 'pg_wal';
}

export function isLeftOut(path: string, name: string): boolean {
  return path === CONTROL_FILE || NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Folder of one database: base/5, PG_18_202506291/5; of a tablespace in the data directory pg_tblspc/16400/PG_18_202506291/5. */
export function isDatabaseFolder(folder: string): boolean {
  return /^(base|(?:pg_tblspc\/\d+\/)?PG_\d+_\d+)\/\d+$/.test(folder);
}

const RELATION = /^(\d+)(_fsm|_vm|_init)?(?:\.(\d+))?$/;
const TEMPORARY = /^t\d+_\d+(_fsm|_vm|_init)?(\.\d+)?$/;

/** Of a folder of a database: temporary relations, and of unlogged ones all but the init fork, which the others are made of. */
export function leftOutRelations(names: string[]): Set<string> {
  const unlogged = new Set(names.flatMap((name) => /^(\d+)_init$/.exec(name)?.[1] ?? []));
  return new Set(
    names.filter((name) => {
      const [, relation, fork] = RELATION.exec(name) ?? [];
      if (relation === undefined) return TEMPORARY.test(name);
      return fork !== '_init' && unlogged.has(relation);
    }),
  );
}

/** Which segment of a relation a file is, from 0; undefined for what has no page checksums. */
export function segmentOf(folder: string, name: string): number | undefined {
  if (folder !== 'global' && !isDatabaseFolder(folder)) return undefined;
  const found = RELATION.exec(name);
  return found ? Number(found[3] ?? 0) : undefined;
}
