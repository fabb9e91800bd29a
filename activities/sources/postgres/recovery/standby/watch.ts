import { failure, findFailure } from '../../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../../workflows/model/lsn.ts';
import type { RecoveryPlan } from '../../../../../workflows/model/recovery.ts';
import type { StandbyEvidence, UpEvidence } from '../../../../../workflows/model/standby.ts';
import { formatDuration } from '../../../../../workflows/model/units.ts';
import { query } from '../../../../io/postgres/connection.ts';
import type { Feeder } from '../feeder.ts';
import { placeOf } from '../place.ts';
import { explainIfDead, restartHigher, stallWatch } from '../replay.ts';
import { refuseHole } from '../replay-failures.ts';
import { readRecoveryLog } from '../server-log.ts';
import { withRecovered } from '../session.ts';
import type { Launched, Replaying } from '../start.ts';
import type { Goal } from './goal.ts';
import { goalOf } from './goal.ts';

const POLL_MS = 100;

/** A standby as it says of itself. */
export interface Followed {
  lsn: Lsn;
  timeline: number;
  systemId: string;
  lastCommitAt?: string;
  receiver?: NonNullable<StandbyEvidence['receiver']>;
}

interface Asked extends Followed {
  inRecovery: boolean;
  paused: boolean;
}

export interface Watched {
  feeder: Feeder;
  server: Launched;
  /** What it has to come to; absent: what the other side says once the standby speaks. */
  goal?: Goal;
  /** Called once a server takes sessions, and again for each that is started in its place: what counts is what it does behind that. */
  onUp?: () => Promise<void>;
}

/** Looks until the standby has passed the goal, and streams where it is to stream; or says why it does not. */
export async function untilFollowing(use: Replaying, at: Watched): Promise<Followed & { goal: Goal }> {
  const seen = { up: false };
  try {
    return await watch(use, at, seen);
  } catch (error) {
    const details = findFailure(error)?.details;
    if (seen.up && details?.length === 1) details.push(UP);
    throw error;
  }
}

/** What a failure says of a standby that took sessions: the run keeps it. */
const UP: UpEvidence = { tookSessions: true };

async function watch(use: Replaying, at: Watched, seen: { up: boolean }): Promise<Followed & { goal: Goal }> {
  const { plan, run } = use;
  const starting = stallWatch(use, at.feeder);
  const following = progressWatch(use, at.feeder);
  const told = new Set<number | undefined>();
  let { goal } = at;
  for (;;) {
    run.signal.throwIfAborted();
    const state = await look(use, at.server);
    seen.up ||= state !== undefined;
    if (state && at.onUp && !told.has(at.server.pid)) {
      await at.onUp();
      told.add(at.server.pid);
      continue;
    }
    if (state) {
      goal ??= await goalOf(use);
      if (hasArrived(plan, state, goal)) return arrived(use, state, goal);
      await following(state, goal);
    }
    starting(state !== undefined);
    tell(use, at.feeder, { state, goal });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

/** Undefined while it takes no sessions; one that needs higher settings is started with them. */
async function look(use: Replaying, server: Launched): Promise<Asked | undefined> {
  const place = placeOf(use.plan);
  const state = await askStandby(use.plan);
  if (state && !state.inRecovery) throw promoted(use.plan);
  if (state && !state.paused) return state;
  const { insufficient } = await readRecoveryLog(place);
  if (insufficient) {
    await restartHigher(use, { place, server, insufficient });
    return undefined;
  }
  if (!state) await explainIfDead(use, { place, server });
  return state;
}

/** A hole in the vault is where a standby of it would stay for ever; a primary may still have what is missing. */
async function arrived({ plan, wal }: Replaying, state: Followed, goal: Goal): Promise<Followed & { goal: Goal }> {
  if (plan.standby?.follow === 'archive') await refuseHole(plan, wal, state.lsn);
  return { ...state, goal };
}

function tell(
  { plan, run }: Replaying,
  feeder: Feeder,
  { state, goal }: { state: Asked | undefined; goal: Goal | undefined },
): void {
  const done = state ? Math.max(0, lsnDistanceBytes(plan.base.startLsn, state.lsn)) : 0;
  run.progress({
    phase: 'replay',
    doneBytes: done,
    totalBytes: Math.max(plan.estimate.walBytes, done),
    note: noteOf(state, goal),
    counters: { segments: feeder.served },
  });
}

function hasArrived({ standby }: RecoveryPlan, { lsn, receiver }: Asked, goal: Goal): boolean {
  if (compareLsn(lsn, goal.lsn) < 0) return false;
  return standby?.follow === 'archive' || (receiver?.status === 'streaming' && receiver.timeline === goal.timeline);
}

function noteOf(state: Asked | undefined, goal: Goal | undefined): string {
  if (!state) return 'starting';
  const streams = state.receiver ? `, ${state.receiver.status} on timeline ${state.receiver.timeline}` : '';
  return `replayed to ${state.lsn}${goal ? ` of ${goal.lsn}` : ''}${streams}`;
}

const STATE = `
  select r as recovery, coalesce(case when r then pg_get_wal_replay_pause_state() end, '') = 'paused' as paused,
         case when r then pg_last_wal_replay_lsn() end::text as lsn, s.system_identifier::text as system,
         to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as commit,
         greatest(c.timeline_id, e.min_recovery_end_timeline, w.received_tli) as timeline,
         w.status, w.received_tli as received, w.slot_name as slot
    from pg_is_in_recovery() r, pg_control_system() s, pg_control_checkpoint() c, pg_control_recovery() e
    left join pg_stat_wal_receiver w on true`;

interface Row extends Record<string, unknown> {
  recovery: boolean;
  paused: boolean;
  lsn: string | null;
  system: string;
  commit: string | null;
  timeline: number;
  status: string | null;
  received: number | null;
  slot: string | null;
}

/** Undefined while the server takes no sessions. */
async function askStandby(plan: RecoveryPlan): Promise<Asked | undefined> {
  try {
    return await withRecovered(plan, { statementTimeoutMs: 5_000 }, async (client) => {
      const [row] = await query<Row>(client, STATE);
      return row && askedOf(row);
    });
  } catch (error) {
    if (findFailure(error)) return undefined;
    throw error;
  }
}

function askedOf({ recovery, paused, lsn, system, commit, timeline, status, received, slot }: Row): Asked {
  return {
    ...{ inRecovery: recovery, paused, lsn: lsn ?? '0/0', systemId: system, timeline },
    ...(commit === null ? {} : { lastCommitAt: commit }),
    ...(status === null ? {} : { receiver: { status, timeline: received ?? 0, ...(slot ? { slot } : {}) } }),
  };
}

/** Fails when a standby that takes sessions has not come closer for `startTimeout`, with what it says itself. */
function progressWatch(
  { plan, options, run }: Replaying,
  feeder: Feeder,
): (state: Asked, goal?: Goal) => Promise<void> {
  const limitMs = options.restore.startTimeout;
  let seen = '';
  let sinceMs = 0;
  return async (state, goal) => {
    const nowMs = run.clock.nowMs();
    const now = JSON.stringify([state.lsn, state.receiver, feeder.served]);
    if (feeder.busy || now !== seen) [seen, sinceMs] = [now, nowMs];
    if (nowMs - sinceMs < limitMs) return;
    const { streamTrouble } = await readRecoveryLog(placeOf(plan));
    const whom = goal?.primary ?? 'the vault';
    throw failure('Precondition', `standby does not follow ${whom}`, {
      place: placeOf(plan).log,
      expected: `${goal?.lsn ?? 'more WAL'} within ${formatDuration(limitMs)}`,
      found: streamTrouble ?? noteOf(state, goal),
      hint: goal?.primary
        ? `mend that on ${whom}; it is kept: --replace sets it aside once it is stopped`
        : 'see its log',
    });
  };
}

function promoted({ into }: RecoveryPlan): Error {
  return failure('Precondition', 'standby was promoted by somebody while it was made', {
    place: into,
    expected: 'a server in recovery',
    found: 'a primary',
    hint: 'a second primary writes a timeline of its own: stop it, then restore once more',
    evidence: UP,
  });
}
