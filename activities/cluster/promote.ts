import { failure, failureFacts, failureTypeOf, findFailure, isRetryable } from '../../workflows/model/failure.ts';
import { peerSlot } from '../../workflows/model/cluster.ts';
import type { NotAsked, Promotion } from '../../workflows/model/failover.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { historyFileName, leftAt, parseHistory } from '../../workflows/model/timeline.ts';
import { isoTime } from '../io/clock.ts';
import type { SqlClient } from '../io/postgres/connection.ts';
import { query } from '../io/postgres/connection.ts';
import { sqlStateOf } from '../io/postgres/failures.ts';
import type { Mover } from './epoch.ts';
import { claim } from './epoch.ts';
import { readNodeFile, removeNodeFile, writeNodeFile } from './files.ts';
import { positionOf } from './marker.ts';
import type { NodeUse } from './node.ts';
import { timelineNow, withNode } from './node.ts';
import { ensureSlot } from './slots.ts';
import { acknowledgeAlone, forgetSynchronous } from './synchronous.ts';

export interface PromoteOrder extends Mover {
  /** Timeline that it is on before. */
  timeline: number;
  /** It must have received at least so much. */
  lsn: Lsn;
  /** Nodes that will follow it: their slots are there before anything is written that they need. */
  followers: readonly string[];
  /** No standby follows it by itself: commits that would wait for one do not. */
  alone?: boolean;
}

const NOT_ASKED: NotAsked = { notAsked: true };
/** In the data directory: the number of the run that asks it to be promoted, from before it is asked. */
const FILE = 'lifeboat.promoting';
const POLL_MS = 20;
/** A backlog that takes longer to replay is waited for by the next attempt. */
const WAIT_MS = 60_000;
/** object_not_in_prerequisite_state: it has left recovery between our look and our word. */
const NOT_IN_RECOVERY = '55000';

/**
 * Makes a standby the primary. It is asked once for each time that it is seen in recovery, and looked at until it has left it: that it takes
 * long says nothing (manual 9.28.4). A repeat on a promoted server only says what it is. Precondition, and nothing done, when it is on
 * another timeline or has not received enough; that is judged before it is asked for the first time, for a server on its way out of
 * recovery is on its new timeline already.
 */
export async function promote(use: NodeUse, order: PromoteOrder): Promise<Promotion> {
  await claim(use, order);
  if (await inRecovery(use)) {
    const asked = (await readNodeFile(use, FILE)) === String(order.epoch);
    await withNode(use, async (sql) => {
      if (!asked) await getReady(use, sql, order);
      await askOnce(sql);
    });
    await untilPromoted(use);
  }
  const promotion = await promotionOf(use, order.timeline);
  await removeNodeFile(use, FILE);
  const waitedFor = order.alone ? await acknowledgeAlone(use) : undefined;
  return waitedFor === undefined ? promotion : { ...promotion, waitedFor };
}

/** Whatever fails for good up to here, the server was not asked. */
async function getReady(use: NodeUse, sql: SqlClient, order: PromoteOrder): Promise<void> {
  try {
    await refuseBehind(use, sql, order);
    for (const follower of order.followers) await ensureSlot(sql, peerSlot(follower));
    await forgetSynchronous(use);
  } catch (error) {
    const [type, found] = [failureTypeOf(error), findFailure(error)];
    if (type === undefined || !found || isRetryable(error)) throw error;
    const facts = failureFacts(error);
    // The hint is appended again; and no cause, for the innermost failure is the one that is read.
    const message = found.message.replace(` (hint: ${facts.hint})`, '');
    throw failure(type, message, { ...facts, evidence: NOT_ASKED });
  }
  await writeNodeFile(use, FILE, String(order.epoch));
}

function inRecovery(use: NodeUse): Promise<boolean> {
  return withNode(use, async (sql) => {
    const [row] = await query<{ standby: boolean }>(sql, 'select pg_is_in_recovery() as standby');
    return row?.standby === true;
  });
}

/** On a standby: how much of which timeline it has. */
const RECEIVED = `
  select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text as lsn,
         greatest(c.timeline_id, r.min_recovery_end_timeline, (select received_tli from pg_stat_get_wal_receiver())) as timeline
    from pg_control_checkpoint() c, pg_control_recovery() r`;

export async function receivedAt(use: NodeUse, sql: SqlClient): Promise<{ lsn: Lsn; timeline: number }> {
  const [row] = await query<{ lsn: string | null; timeline: number }>(sql, RECEIVED);
  return { lsn: row?.lsn ?? '0/0', timeline: Math.max(row?.timeline ?? 0, await timelineNow(use)) };
}

async function refuseBehind(use: NodeUse, sql: SqlClient, { timeline, lsn }: PromoteOrder): Promise<void> {
  const { name } = use;
  const seen = await receivedAt(use, sql);
  if (seen.timeline === timeline && compareLsn(seen.lsn, lsn) >= 0) return;
  throw failure('Precondition', `${name} is not where it was when its promotion was decided`, {
    place: name,
    expected: `${lsn} or more on timeline ${timeline}`,
    found: `${seen.lsn} on timeline ${seen.timeline}`,
    hint: 'nothing was promoted: look, then start again',
  });
}

async function askOnce(sql: SqlClient): Promise<void> {
  try {
    await query(sql, 'select pg_promote(false)');
  } catch (error) {
    if (sqlStateOf(error) !== NOT_IN_RECOVERY) throw error;
  }
}

async function untilPromoted(use: NodeUse): Promise<void> {
  const { run, name } = use;
  const deadline = run.clock.nowMs() + WAIT_MS;
  while (await inRecovery(use)) {
    if (run.clock.nowMs() > deadline) {
      throw failure('Unavailable', `${name} has not left recovery yet`, {
        place: name,
        expected: 'a primary',
        found: 'a server in recovery',
        hint: 'it replays what it has received: it is looked at again by itself',
      });
    }
    run.progress({ phase: `promote ${name}` });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

async function promotionOf(use: NodeUse, oldTimeline: number): Promise<Promotion> {
  const { timeline } = await withNode(use, positionOf);
  const text = await readNodeFile(use, `pg_wal/${historyFileName(timeline)}`);
  const forkLsn = text === undefined ? undefined : leftAt(parseHistory(timeline, text), oldTimeline);
  if (forkLsn !== undefined)
    return { node: use.name, timeline, oldTimeline, forkLsn, at: isoTime(use.run.clock.nowMs()) };
  throw failure('Integrity', `${use.name} is a primary that does not come from timeline ${oldTimeline}`, {
    place: `pg_wal/${historyFileName(timeline)} of ${use.name}`,
    expected: `a history through timeline ${oldTimeline}`,
    found: text?.trim().split('\n').at(-1) ?? 'no such file',
    hint: 'somebody else has promoted or restored it: send no client there before it is known',
  });
}
