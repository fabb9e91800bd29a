import type { Lsn } from '../../../../../workflows/model/lsn.ts';
import { formatLsn, lsnDistanceBytes, parseSegmentName } from '../../../../../workflows/model/lsn.ts';
import type { WalStatus } from '../../../../../workflows/model/wal.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query } from '../../../../io/postgres/connection.ts';

interface Archiver {
  mode: string;
  command: string;
  library: string;
  last: string | null;
  failing: boolean;
  segment: number;
}

const ARCHIVER = `
  select current_setting('archive_mode') as mode, a.last_archived_wal as last,
         coalesce((select setting from pg_settings where name = 'archive_command'), '') as command,
         coalesce((select setting from pg_settings where name = 'archive_library'), '') as library,
         coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) as failing,
         (select setting::int * case unit when '8kB' then 8192 else 1 end from pg_settings where name = 'wal_segment_size') as segment
    from pg_stat_archiver a`;

async function readArchiver(sql: SqlClient): Promise<Archiver> {
  const [row] = await query<Archiver & Record<string, unknown>>(sql, ARCHIVER);
  return row ?? { mode: 'off', command: '', library: '', last: null, failing: false, segment: 0 };
}

export interface ArchiverTrouble {
  name: string;
  found: string;
  expected: string;
  hint: string;
}

const OURS = /lifeboat(?:-|\s+)wal-push\s/;

/** Why the archiver of a server does not hand its files to us; undefined when it does. */
export async function archiverTrouble(sql: SqlClient): Promise<ArchiverTrouble | undefined> {
  const { mode, command, library } = await readArchiver(sql);
  const expected = "archive_mode = on, archive_command = '... lifeboat-wal-push SOCKET %p', no archive_library";
  const found = { name: 'archiving to us', expected };
  if (mode === 'off')
    return {
      ...found,
      found: 'archive_mode = off',
      hint: 'alter system set archive_mode = on, then restart the server',
    };
  if (library !== '') {
    const both = command !== '' && command !== '(disabled)' ? ' beside archive_command' : '';
    return {
      ...found,
      found: `archive_library = ${library} is set${both}`,
      hint: "alter system set archive_library = ''; select pg_reload_conf(): the server uses one of the two, from 16 on it refuses both",
    };
  }
  if (!OURS.test(command)) {
    const set = command === '' ? 'empty' : command;
    return {
      ...found,
      found: `archive_command is ${set}`,
      hint: "alter system set archive_command = '/path/to/lifeboat-wal-push SOCKET %p'; select pg_reload_conf()",
    };
  }
  return undefined;
}

type Server = NonNullable<WalStatus['server']>;

/** The same facts that a slot gives of a stream: whether WAL comes, and from where on the server keeps it for us. */
export async function archiverSide(
  sql: SqlClient,
  { flushLsn, timeline }: { flushLsn: Lsn; timeline: number },
): Promise<Pick<Server, 'slot' | 'slotState' | 'retainedBytes'>> {
  const { last, failing, segment } = await readArchiver(sql);
  const trouble = await archiverTrouble(sql);
  const archived = last === null || segment === 0 ? undefined : parseSegmentName(last.slice(0, 24), segment);
  const upTo = archived?.timeline === timeline ? formatLsn(archived.start + BigInt(segment)) : '0/0';
  return {
    slot: 'archive_command',
    slotState: trouble ? 'missing' : failing ? 'failing' : 'archiving',
    retainedBytes: Math.max(0, lsnDistanceBytes(upTo, flushLsn)),
  };
}
