import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import type { Log } from '../../../io/run.ts';

export interface ConfigFile {
  /** Absolute, on the server. */
  path: string;
  bytes: Buffer;
  mtimeMs: number;
}

const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Configuration that does not stand in the data directory (Debian keeps it below /etc) and so is in no base backup: the
 * main files and those they include. Empty when all is inside; what this role may not read is said in the log.
 */
export async function readConfigFiles(client: SqlClient, log: Log): Promise<ConfigFile[]> {
  try {
    const paths = await outsidePaths(client);
    const files: ConfigFile[] = [];
    for (const path of paths) files.push(...(await readFile(client, path)));
    if (files.length > 0) log.info('configuration outside of the data directory is in the backup', { paths });
    return files;
  } catch (error) {
    if (sqlStateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    log.warn('configuration outside of the data directory, if there is any, is not in the backup', {
      reason: 'this role may not read it',
      hint: 'grant pg_read_server_files, pg_read_all_settings and execute on pg_read_binary_file(text), pg_stat_file(text)',
    });
    return [];
  }
}

async function outsidePaths(client: SqlClient): Promise<string[]> {
  const rows = await query<{ path: string }>(
    client,
    `with files as (
       select setting as path from pg_settings where name in ('config_file', 'hba_file', 'ident_file')
       union select sourcefile from pg_file_settings)
     select path from files
      where path is not null and path not like current_setting('data_directory') || '/%' order by path`,
  );
  return rows.map((row) => row.path);
}

/** A file that vanished meanwhile is no file any more. */
async function readFile(client: SqlClient, path: string): Promise<ConfigFile[]> {
  const rows = await query<{ bytes: Buffer; modified: string }>(
    client,
    `select pg_read_binary_file($1, 0, 1073741823, true) as bytes,
            (extract(epoch from (pg_stat_file($1, true)).modification) * 1000)::bigint::text as modified`,
    [path],
  );
  return rows.flatMap((row) => (row.bytes === null ? [] : [{ path, bytes: row.bytes, mtimeMs: Number(row.modified) }]));
}
