import type { Following } from '../../workflows/model/failover.ts';
import type { NodeState } from '../../workflows/model/cluster.ts';
import type { Lsn } from '../../workflows/model/lsn.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import type { Check } from '../../workflows/model/recovery.ts';
import { findFailure } from '../../workflows/model/failure.ts';
import { query } from '../io/postgres/connection.ts';
import { lookAt } from './look.ts';
import { readMarker } from './marker.ts';
import type { NodeUse } from './node.ts';
import { withNode } from './node.ts';

export interface FollowGoal {
  marker: string;
  timeline: number;
  /** Where the primary was when the marker was written. */
  lsn: Lsn;
  withinMs: number;
}

const POLL_MS = 50;

/**
 * Waits until a standby follows: it streams, on the timeline of its primary, has replayed beyond the goal, and the marker can be
 * read there. That it is in recovery proves none of this. What is still wrong when the time is over is the answer.
 */
export async function untilFollowing(use: NodeUse, goal: FollowGoal): Promise<Following> {
  const { run } = use;
  const deadline = run.clock.nowMs() + goal.withinMs;
  for (;;) {
    const checks = await followChecks(use, goal);
    const ok = checks.every((check) => check.ok);
    if (ok) return { node: use.name, ok, checks, clients: await clientsAt(use) };
    if (run.clock.nowMs() >= deadline) return { node: use.name, ok, checks };
    run.progress({ phase: `${use.name} follows`, note: checks.find((check) => !check.ok)?.name ?? '' });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

/** Without our own, which look at it all the time. */
async function clientsAt(use: NodeUse): Promise<number> {
  const text = `select count(*)::int as count from pg_stat_activity where backend_type = 'client backend' and application_name <> 'lifeboat'`;
  const [row] = await withNode(use, (sql) => query<{ count: number }>(sql, text));
  return row?.count ?? 0;
}

async function followChecks(use: NodeUse, { marker, timeline, lsn }: FollowGoal): Promise<Check[]> {
  const state = await lookAt(use, { remote: false });
  const { receiver, replayedLsn = '0/0' } = state;
  const read = await markerAt(use, state);
  return [
    {
      name: 'is a standby',
      ok: state.answers && state.role === 'standby',
      expected: 'a server in recovery that answers',
      found: state.answers ? (state.role ?? '') : (state.trouble?.found ?? 'no answer'),
    },
    {
      name: 'streams',
      ok: receiver?.status === 'streaming' && receiver.timeline === timeline,
      expected: `streaming on timeline ${timeline}`,
      found: receiver ? `${receiver.status} on timeline ${receiver.timeline}` : 'no receiver',
    },
    {
      name: 'has replayed',
      ok: compareLsn(replayedLsn, lsn) >= 0,
      expected: `${lsn} or more`,
      found: replayedLsn,
    },
    { name: 'has the marker', ok: read === marker, expected: marker, found: read ?? 'none' },
  ];
}

async function markerAt(use: NodeUse, state: NodeState): Promise<string | undefined> {
  if (!state.answers) return undefined;
  try {
    return await withNode(use, (sql) => readMarker(sql, use.service));
  } catch (error) {
    use.run.signal.throwIfAborted();
    if (!findFailure(error)) throw error;
    return undefined;
  }
}
