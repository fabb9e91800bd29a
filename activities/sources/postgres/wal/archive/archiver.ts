import type { Lsn } from '../../../../../workflows/model/lsn.ts';
import { formatLsn, lsnDistanceBytes, parseLsn, parseSegmentName } from '../../../../../workflows/model/lsn.ts';
import type { WalRange, WalStatus } from '../../../../../workflows/model/wal.ts';
import type { SqlClient } from '../../../../io/postgres/connection.ts';
import { query } from '../../../../io/postgres/connection.ts';
import { AHEAD_BYTES } from './pushes.ts';

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

/** Quoted, with the machine's name, or as a verb of the CLI. What a script calls, its text does not tell. */
const OURS = /wal-push(?:-\w+)?["']?\s/;

const EXPECTED = "archive_mode = on, archive_command = '... lifeboat-wal-push SOCKET %p', no archive_library";
const SET_COMMAND =
  "alter system set archive_command = '/path/to/lifeboat-wal-push SOCKET %p'; select pg_reload_conf()";

/** One that fails tries again every minute: a failure of long ago is that of an archiver that has nothing to do. */
const FAILING = `
  select coalesce(last_failed_time > greatest(last_archived_time, clock_timestamp() - interval '5 minutes'), false) as failing
    from pg_stat_archiver`;

export async function isArchiverFailing(sql: SqlClient): Promise<boolean> {
  const [row] = await query<{ failing: boolean }>(sql, FAILING);
  return row?.failing ?? false;
}

/** Undefined when archive_command names our helper; a script that calls it is as good. */
export async function commandDoubt(sql: SqlClient): Promise<ArchiverTrouble | undefined> {
  const { command } = await readArchiver(sql);
  if (OURS.test(command)) return undefined;
  const hint = `if it is no script that calls lifeboat-wal-push: ${SET_COMMAND}`;
  return { name: 'archiving to us', expected: EXPECTED, found: `archive_command is ${command}`, hint };
}

/** What keeps the archiver of a server from handing its files to us for certain. */
export async function archiverTrouble(sql: SqlClient): Promise<ArchiverTrouble | undefined> {
  const { mode, command, library } = await readArchiver(sql);
  const found = { name: 'archiving to us', expected: EXPECTED };
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
  if (command === '') return { ...found, found: 'archive_command is empty', hint: SET_COMMAND };
  return undefined;
}

type Server = NonNullable<WalStatus['server']>;

/** The same facts that a slot gives of a stream: whether WAL comes, and from where on the server keeps it for us. */
export async function archiverSide(
  sql: SqlClient,
  { flushLsn, held }: { flushLsn: Lsn; held: readonly WalRange[] },
): Promise<Pick<Server, 'slot' | 'slotState' | 'retainedBytes'>> {
  const { last, failing, segment } = await readArchiver(sql);
  const trouble = await archiverTrouble(sql);
  return {
    slot: 'archive_command',
    slotState: trouble ? 'missing' : failing ? 'failing' : 'archiving',
    retainedBytes: Math.max(0, lsnDistanceBytes(handedOver(last, { segmentBytes: segment, held }), flushLsn)),
  };
}

/**
 * Up to where the archiver has handed over everything: behind its newest segment, on whichever timeline. After a promotion that
 * file may be a history, which has no position, or the beginning of a segment that the new timeline has whole. Then it is what the
 * vault surely has: files that stand ready overtake each other, and not by more than is brought ahead.
 */
export function handedOver(
  last: string | null,
  { segmentBytes, held }: { segmentBytes: number; held: readonly WalRange[] },
): Lsn {
  const segment = last === null || segmentBytes === 0 ? undefined : parseSegmentName(last.slice(0, 24), segmentBytes);
  if (segment) return formatLsn(segment.start + BigInt(last?.endsWith('.partial') ? 0 : segmentBytes));
  const newest = held.at(-1);
  if (!newest) return '0/0';
  const surely = parseLsn(newest.endLsn) - BigInt(2 * AHEAD_BYTES);
  const range = held.find(({ timeline, endLsn }) => timeline === newest.timeline && parseLsn(endLsn) >= surely);
  return range?.endLsn ?? '0/0';
}
