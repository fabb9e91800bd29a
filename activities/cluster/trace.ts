import { failure } from '../../workflows/model/failure.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import type { WalTrace } from '../../workflows/model/rejoin.ts';
import { historyFileName, parseHistory } from '../../workflows/model/timeline.ts';
import { query } from '../io/postgres/connection.ts';
import { readNodeFile } from './files.ts';
import { positionOf } from './marker.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { digestPages, walFolder } from './wal-files.ts';

const WHO = `
  select pg_is_in_recovery() as standby, system_identifier::text as system,
         current_setting('server_version_num')::int as version,
         (select setting::float8 from pg_settings where name = 'wal_segment_size') as segment
    from pg_control_system()`;

/** Where a primary is and how it came there, with the digests of a range of its WAL. Precondition when it is none. */
export async function trace(use: NodeUse, range?: { fromLsn: Lsn; toLsn: Lsn }): Promise<WalTrace> {
  const { who, position } = await withNode(use, async (sql) => {
    const [row] = await query<{ standby: boolean; system: string; version: number; segment: number }>(sql, WHO);
    if (!row || row.standby) throw notPrimary(use);
    return { who: row, position: await positionOf(sql) };
  });
  const { timeline, lsn } = position;
  const text = timeline === 1 ? '' : await readNodeFile(use, `pg_wal/${historyFileName(timeline)}`);
  if (text === undefined) throw withoutHistory(use, timeline);
  const { ancestors } = parseHistory(timeline, text);
  const line = { timeline, ancestors };
  const digests = range && (await digestPages(await walFolder(use, who.segment), line, range));
  return {
    ...{ systemId: who.system, major: Math.floor(who.version / 10_000), ...line, lsn },
    ...(digests ? { digests } : {}),
  };
}

function notPrimary({ name }: NodeUse): Error {
  return failure('Precondition', `${name} is no primary any more`, {
    ...{ place: name, expected: 'the primary', found: 'a server in recovery' },
    hint: 'another one has taken over meanwhile: look, then start again',
  });
}

function withoutHistory({ name }: NodeUse, timeline: number): Error {
  const place = `pg_wal/${historyFileName(timeline)} of ${name}`;
  return failure('Integrity', `${name} does not know how it came to timeline ${timeline}`, {
    ...{ place, expected: 'its history', found: 'no such file' },
    hint: 'bring the file back from the vault: lifeboat wal-fetch',
  });
}
