import { failureFacts, failureTypeOf, findFailure } from '../../workflows/model/failure.ts';
import { hearsPrimary } from '../../workflows/model/failover-verdict.ts';
import type { Reached, Sight, Written } from '../../workflows/model/outage.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query, sessionOf, withConnection } from '../io/postgres/connection.ts';
import { sqlStateOf } from '../io/postgres/failures.ts';
import { runningServer } from '../io/postgres/server.ts';
import { askPort } from '../io/port-probe.ts';
import { beat } from './heartbeat.ts';
import type { NodeUse } from './node.ts';
import { connectionOf } from './node.ts';

/** A statement that takes longer says that the server does not work. */
const ANSWER_MS = 3_000;
/** For all of them together. */
const LONGEST_MS = 15_000;

/** One node as this host sees it: its port, a question, and at a primary a row that is written. Each has a short time of its own. */
export async function sightOf(use: NodeUse): Promise<Sight> {
  const isOwn = use.host === use.node.host;
  const running = isOwn ? { running: (await runningServer(use.node.dataDir)) !== undefined } : {};
  const options = connectionOf(use, !isOwn);
  const { host, port, connectTimeout: withinMs } = options;
  const answer = await askPort({ host, port, withinMs }, use.run);
  if (answer !== 'open')
    return { node: use.name, reached: answer === 'refused' ? 'refused' : 'unreachable', ...running };
  // A server that stops between two answers would hold even the end of a session.
  const limit = AbortSignal.timeout(withinMs + LONGEST_MS);
  const mode = {
    ...{ statementTimeoutMs: ANSWER_MS, signal: AbortSignal.any([use.run.signal, limit]) },
    // Without a standby to wait for, and only where everybody may write.
    settings: { synchronous_commit: 'local' },
  };
  try {
    return await withConnection(options, mode, async (sql) => ({ ...(await asked(use, sql)), ...running }));
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!limit.aborted && !findFailure(error)) throw error;
    return { node: use.name, reached: limit.aborted ? 'hangs' : reachedBy(error), ...running };
  }
}

/** SQLSTATE of a server that starts, stops, or cannot take a session now (manual, appendix A). */
const CANNOT_NOW = '57P03';
const CANCELLED = '57014';

function reachedBy(error: unknown): Reached {
  const type = failureTypeOf(error);
  if (type === 'Denied' || type === 'Busy' || type === 'NotFound' || sqlStateOf(error) === CANNOT_NOW) return 'denied';
  return failureFacts(error).found === 'silence' || isLate(error) ? 'hangs' : 'failed';
}

/** The server has given up the statement, or node-postgres has, which says it only in words. */
function isLate(error: unknown): boolean {
  return sqlStateOf(error) === CANCELLED || /timeout/i.test(findFailure(error)?.message ?? '');
}

interface Row extends Record<string, unknown> {
  standby: boolean;
  timeline: number | null;
  lsn: string | null;
  status: string | null;
  heard: number | null;
}

const STATE = `
  select r as standby,
         case when r then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
              else pg_current_wal_flush_lsn() end::text as lsn,
         case when r then c.timeline_id
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
         w.status, (extract(epoch from clock_timestamp() - w.last_msg_receipt_time) * 1000)::float8 as heard
    from pg_is_in_recovery() r, pg_control_checkpoint() c left join pg_stat_wal_receiver w on true`;

async function asked(use: NodeUse, sql: SqlClient): Promise<Sight> {
  const [row] = await query<Row>(sql, STATE);
  if (!row) return { node: use.name, reached: 'failed' };
  const { standby, timeline, lsn, status, heard } = row;
  const seen = {
    ...{ node: use.name, reached: 'answers' as const, role: standby ? ('standby' as const) : ('primary' as const) },
    ...(timeline === null ? {} : { timeline }),
    ...(lsn === null ? {} : { lsn }),
  };
  if (!standby) return { ...seen, written: await written(use, sql) };
  const receiver = status === null ? undefined : { status, ...(heard === null ? {} : { heardMsAgo: heard }) };
  return { ...seen, hears: hearsPrimary(receiver) };
}

/** SQLSTATE to what it says of a write. */
const WRITES: Record<string, Written> = { '25006': 'read-only', '53100': 'disk-full', [CANCELLED]: 'hangs' };

async function written(use: NodeUse, sql: SqlClient): Promise<Written> {
  try {
    await beat(use, sql, use.host);
    return 'done';
  } catch (error) {
    sessionOf(sql).signal?.throwIfAborted();
    if (!findFailure(error)) throw error;
    return WRITES[sqlStateOf(error) ?? ''] ?? (isLate(error) ? 'hangs' : 'failed');
  }
}
