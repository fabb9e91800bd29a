import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import type { Log } from '../../../io/run.ts';
import type { Packer } from './packer.ts';

/** Tree of configuration that stood outside of the data directory; its paths are relative to "/". */
export const CONFIG_TREE = 'config';

export interface ConfigFile {
  /** Absolute, on the server. */
  path: string;
  bytes: Buffer;
  mtimeMs: number;
}

const INSUFFICIENT_PRIVILEGE = '42501';
/** No configuration is longer; they are held in memory. */
const LONGEST_FILE_BYTES = 16 * 1024 * 1024;

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
      hint: 'README.md, "Your own database", has the grants',
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

/** A file that vanished meanwhile is no file any more. The server sets aside as much memory as we ask for: no more than it has. */
async function readFile(client: SqlClient, path: string): Promise<ConfigFile[]> {
  const rows = await query<{ bytes: Buffer | null; modified: string }>(
    client,
    `select pg_read_binary_file($1, 0, least(size, ${LONGEST_FILE_BYTES}), true) as bytes,
            (extract(epoch from modification) * 1000)::bigint::text as modified
       from pg_stat_file($1, true)`,
    [path],
  );
  return rows.flatMap(({ bytes, modified }) => (bytes === null ? [] : [{ path, bytes, mtimeMs: Number(modified) }]));
}

export function addConfigFiles(packer: Packer, files: ConfigFile[]): void {
  if (files.length === 0) return;
  packer.startTree(CONFIG_TREE, '/');
  for (const { path, bytes, mtimeMs } of files) {
    packer.startEntry({ path: path.replace(/^\/+/, ''), type: 'file', mode: 0o600, mtimeMs });
    packer.add(bytes);
    packer.endEntry();
  }
}
