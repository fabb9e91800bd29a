import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../../../../../workflows/model/failure.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query } from '../../../../io/postgres/connection.ts';

/** Where a server's WAL stands and how far it has come, as it says itself. */
export interface ServerPlace {
  /** Absent when the role may not know it. */
  dataDirectory?: string;
  timeline: number;
  inRecovery: boolean;
}

const PLACE = `
  select (select setting from pg_settings where name = 'data_directory') as folder, pg_is_in_recovery() as standby,
         case when pg_is_in_recovery() then greatest(c.timeline_id, r.min_recovery_end_timeline)
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline
    from pg_control_checkpoint() c, pg_control_recovery() r`;

export async function readPlace(sql: SqlClient): Promise<ServerPlace> {
  const [row] = await query<{ folder: string | null; standby: boolean; timeline: number }>(sql, PLACE);
  if (!row) throw failure('Bug', 'pg_control functions returned no row');
  const known = row.folder === null ? {} : { dataDirectory: await realPathOf(row.folder) };
  return { ...known, timeline: row.timeline, inRecovery: row.standby };
}

/**
 * Whether a file is of the server that SQL reaches. Its system identifier does not tell: a copy of a cluster has it too, and
 * with the copied settings archives to the same socket.
 */
export class Origin {
  readonly #ask: () => Promise<ServerPlace>;
  #seen: ServerPlace | undefined;

  constructor(ask: () => Promise<ServerPlace>) {
    this.#ask = ask;
  }

  /** Precondition for a file of another server. What was heard before may be old: it is asked again before anything is refused. */
  async check(path: string, timeline: number): Promise<void> {
    const directory = await realPathOf(dirname(dirname(path)));
    if (this.#seen && isOf(this.#seen, directory, timeline)) return;
    const seen = await this.#ask();
    this.#seen = seen;
    if (seen.dataDirectory !== undefined && seen.dataDirectory !== directory)
      throw otherDirectory(path, seen.dataDirectory, directory);
    if (timeline > seen.timeline) throw laterTimeline(path, timeline, seen);
  }
}

function isOf(seen: ServerPlace, directory: string, timeline: number): boolean {
  return (seen.dataDirectory === undefined || seen.dataDirectory === directory) && timeline <= seen.timeline;
}

/** As this host has it; a path that is not here is compared as it is. */
async function realPathOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function otherDirectory(path: string, expected: string, found: string): Error {
  return failure('Precondition', `WAL file ${path} is of another server: it stands in ${found}, not in ${expected}`, {
    ...{ place: path, expected: `data directory ${expected}`, found: `data directory ${found}` },
    hint: 'a copy of the cluster archives to the socket of its origin: set archive_mode = off there, or give it a source of its own',
  });
}

/** A server that is being promoted archives the history of its new timeline before it says that it is there. */
function laterTimeline(path: string, timeline: number, seen: ServerPlace): Error {
  return failure(
    seen.inRecovery ? 'Unavailable' : 'Precondition',
    `WAL file ${path} is of another server: its timeline ${timeline} is above the server's`,
    {
      ...{ place: path, expected: `timeline ${seen.timeline}, or one before it`, found: `timeline ${timeline}` },
      hint: 'connection.host is to name the server that archives here, and no other server may: lifeboat doctor',
    },
  );
}
