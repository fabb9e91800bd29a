import { failure } from '../../workflows/model/failure.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';
import { reload, setSetting, untilInForce } from './settings.ts';

const POLL_MS = 25;
/** For sessions that were told to end. */
const END_MS = 10_000;

export interface Quiesced {
  /** Sessions that were ended, and those that have come since and can only read. */
  ended: number;
  left: number;
}

/**
 * What begins from now on can only read; what writes may end by itself for the time that the cluster's limits give, and is ended then, as
 * all other sessions are. It is no fence: a session can make itself write again, which the shutdown behind this one ends.
 */
export async function quiesce(use: NodeUse, mover: Mover): Promise<Quiesced> {
  await claim(use, mover);
  await withNode(use, async (sql) => {
    await setSetting(sql, 'default_transaction_read_only', 'on');
    await reload(sql);
  });
  await untilInForce(use, 'default_transaction_read_only', 'on');
  return withNode(use, async (sql) => {
    // In force until the next reload, and nothing stays in the file: a server that starts afresh takes writes as ever.
    await setSetting(sql, 'default_transaction_read_only', undefined);
    await drained(use, sql);
    const ended = await endSessions(use, sql);
    return { ended, left: await countOf(sql, SESSIONS) };
  });
}

/** Back to how its files say it is. */
export async function unquiesce(use: NodeUse, mover: Mover): Promise<void> {
  await claim(use, mover);
  await withNode(use, async (sql) => {
    await setSetting(sql, 'default_transaction_read_only', undefined);
    await reload(sql);
  });
  await untilInForce(use, 'default_transaction_read_only', 'off');
}

const SESSIONS = `backend_type = 'client backend' and pid <> pg_backend_pid()`;
const WRITERS = `${SESSIONS} and backend_xid is not null`;

async function countOf(sql: SqlClient, which: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    sql,
    `select count(*)::int as count from pg_stat_activity where ${which}`,
  );
  return row?.count ?? 0;
}

async function drained({ run, cluster }: NodeUse, sql: SqlClient): Promise<void> {
  const deadline = run.clock.nowMs() + cluster.limits.drain;
  while ((await countOf(sql, WRITERS)) > 0 && run.clock.nowMs() < deadline) await run.clock.sleep(POLL_MS, run.signal);
}

async function endSessions(use: NodeUse, sql: SqlClient): Promise<number> {
  const { run, name } = use;
  const [told] = await query<{ count: number }>(
    sql,
    `select count(pg_terminate_backend(pid))::int as count from pg_stat_activity where ${SESSIONS}`,
  );
  const deadline = run.clock.nowMs() + END_MS;
  while ((await countOf(sql, WRITERS)) > 0) {
    if (run.clock.nowMs() > deadline) {
      throw failure('Precondition', `${name} has sessions that write and do not end`, {
        place: `pg_stat_activity of ${name}`,
        expected: 'no transaction that writes',
        found: String(await countOf(sql, WRITERS)),
        hint: 'select * from pg_stat_activity where backend_xid is not null',
      });
    }
    await run.clock.sleep(POLL_MS, run.signal);
  }
  return told?.count ?? 0;
}
