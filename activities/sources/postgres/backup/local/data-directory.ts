import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isFailure } from '../../../../../workflows/model/failure.ts';
import { translateFileError } from '../../../../io/file-failure.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query } from '../../../../io/postgres/connection.ts';
import type { Run } from '../../../../io/run.ts';
import type { OneServer } from '../../options.ts';
import { readControlFile } from './control-file.ts';
import { CONTROL_FILE } from './exclusions.ts';
import type { TreeRoot } from './list-files.ts';
import type { Obstacle } from './obstacle.ts';
import { refuseObstacle } from './obstacle.ts';
import { findTablespaces } from './tablespaces.ts';

/** The files of the server that SQL reaches, as this host sees them. */
export interface DataDirectory {
  path: string;
  tablespaces: TreeRoot[];
  pageBytes: number;
  pagesPerSegment: number;
}

interface ServerFacts {
  path: string | null;
  started: string;
  system: string;
  may: boolean;
  page: number;
  segment: number;
  folder: string;
}

const FACTS = `
  select (select setting from pg_settings where name = 'data_directory') as path,
         extract(epoch from pg_postmaster_start_time())::text as started,
         s.system_identifier::text as system,
         has_function_privilege('pg_backup_start(text, boolean)', 'execute')
           and has_function_privilege('pg_backup_stop(boolean)', 'execute') as may,
         i.database_block_size as page, i.blocks_per_segment as segment,
         'PG_' || current_setting('server_version_num')::int / 10000 || '_' || s.catalog_version_no as folder
    from pg_control_system() s, pg_control_init() i`;

/**
 * The data directory, when this host has it, this user may read it, and this role may start a backup by SQL; otherwise
 * undefined, or Precondition with the reason when the options insist on it (files.read: local).
 */
export async function findDataDirectory(
  options: OneServer,
  client: SqlClient,
  run: Run,
): Promise<DataDirectory | undefined> {
  const found = await lookForDataDirectory(options, client, run);
  if (!('expected' in found)) return found;
  if (options.files.read !== 'local') {
    run.log.info('files of the server are not read here: its walsender sends them', { reason: found.found });
    return undefined;
  }
  refuseObstacle(options, found, {
    says: 'files.read is local, but the data directory cannot be read here',
    set: 'auto',
  });
}

/** The same on the session of the backup, which may have come to another server than the one before. */
export async function confirmDataDirectory(options: OneServer, client: SqlClient, run: Run): Promise<DataDirectory> {
  const found = await lookForDataDirectory(options, client, run);
  if (!('expected' in found)) return found;
  refuseObstacle(options, found, {
    says: 'the session of the backup is not with the server whose files were found here before',
    set: 'stream',
  });
}

/** The same without a verdict: the directory, or what stands in its way. */
export async function lookForDataDirectory(
  { files: { read, dataDirectory } }: OneServer,
  client: SqlClient,
  run: Run,
): Promise<DataDirectory | Obstacle> {
  if (read === 'stream') {
    return { expected: 'files.read: auto or local', found: 'files.read: stream', hint: 'set files.read: auto' };
  }
  const facts = await askFacts(client);
  if (!facts)
    return { expected: 'a role that may call the pg_control functions', found: 'one that may not', hint: CONTROL };
  const path = dataDirectory ?? facts.path ?? undefined;
  const obstacle = await obstacleTo(path, facts, run);
  if (path === undefined || obstacle) return obstacle as Obstacle;
  const { page: pageBytes, segment: pagesPerSegment, folder } = facts;
  const tablespaces = await translateFileError(path, () => findTablespaces(path, folder));
  return 'expected' in tablespaces ? tablespaces : { path, tablespaces, pageBytes, pagesPerSegment };
}

const GRANTS =
  'grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean) to ROLE, in the database of connection.database';

const CONTROL = 'grant execute on function pg_control_system(), pg_control_init() to ROLE';

/** Undefined when this role may not ask. */
async function askFacts(client: SqlClient): Promise<ServerFacts | undefined> {
  try {
    const [facts] = await query<ServerFacts & Record<string, unknown>>(client, FACTS);
    return facts;
  } catch (error) {
    if (isFailure(error, 'Denied')) return undefined;
    throw error;
  }
}

async function obstacleTo(path: string | undefined, facts: ServerFacts, run: Run): Promise<Obstacle | undefined> {
  if (path === undefined) {
    const expected = 'a role that may see data_directory';
    return { expected, found: 'no path', hint: 'grant pg_read_all_settings to the role, or set files.dataDirectory' };
  }
  if (!facts.may) {
    return {
      expected: 'a role that may call pg_backup_start and pg_backup_stop',
      found: 'one that may not',
      hint: GRANTS,
    };
  }
  try {
    const [, , started = ''] = (await readFile(join(path, 'postmaster.pid'), 'utf8')).split('\n');
    await access(join(path, 'base'), constants.R_OK | constants.X_OK);
    const { systemId } = await readControlFile(join(path, CONTROL_FILE), run);
    return systemId === facts.system && isSameStart(started, facts.started) ? undefined : otherServer(facts, systemId);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const hint = 'run a worker on the host of the database, as its user, or set files.dataDirectory';
    return { expected: `files of the server in ${path}`, found: code, hint };
  }
}

function otherServer({ system }: ServerFacts, found: string): Obstacle {
  return {
    expected: `files of the running server of cluster ${system}`,
    found: `files of ${found === system ? 'another server of this cluster' : `cluster ${found}`}`,
    hint: 'set files.dataDirectory to the folder of the server that connection.host names',
  };
}

/** A server that takes long to set up its memory and to remove what temporary files an earlier one left. */
const MOST_START_SECONDS = 600;

/** postmaster.pid has it in whole seconds (miscadmin.h, LOCK_FILE_LINE_START_TIME), from before the server sets itself up. */
function isSameStart(file: string, sql: string): boolean {
  const later = Number(sql) - Number(file);
  return later >= -1 && later <= MOST_START_SECONDS;
}
