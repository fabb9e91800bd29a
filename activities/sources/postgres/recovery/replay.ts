import { failure, findFailure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../workflows/model/lsn.ts';
import { formatDuration } from '../../../../workflows/model/units.ts';
import type { RecoveryPlan, ReplayEvidence } from '../../../../workflows/model/recovery.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Feeder } from './feeder.ts';
import { whileFeeding } from './feeder.ts';
import { passedOver } from './passed-over.ts';
import type { Place } from './place.ts';
import { placeOf } from './place.ts';
import { fatalFailure, refuseHole, tooLow } from './replay-failures.ts';
import type { RecoveryLog } from './server-log.ts';
import { hasStopped, readRecoveryLog } from './server-log.ts';
import { isAlive, runningServer, stopServer } from '../../../io/postgres/server.ts';
import { withRecovered } from './session.ts';
import { raiseSettings } from './settings.ts';
import type { Launched, Replaying } from './start.ts';
import { keepHistories, start, startUnlessRunning } from './start.ts';

const POLL_MS = 100;

/** Replays to the target on a server of its own; a server that already runs for this plan is taken over. */
export async function replayWal(use: Replaying): Promise<ReplayEvidence> {
  const { plan, host, wal, run } = use;
  const place = placeOf(plan);
  const { systemId, segmentBytes } = plan.base;
  return whileFeeding({ place, host, wal, run, systemId, segmentBytes }, async (feeder, fedRun) => {
    const fed = { ...use, run: fedRun };
    await keepHistories(fed, place);
    const server = await startUnlessRunning(fed, place);
    const reached = await waitForTarget(fed, { feeder, server });
    // Without a target, a hole in the WAL looks like its end to the server; it must not to us.
    if (plan.target.kind === 'latest')
      await refuseHole(plan, wal, (await readRecoveryLog(place)).redoneTo ?? reached.lsn);
    return evidence(use, reached, feeder.served);
  });
}

interface Reached {
  inRecovery: boolean;
  lsn: Lsn;
  lastCommitAt?: string;
  timeline: number;
}

interface Asked extends Reached {
  paused: boolean;
}

/** Looks until the server stands at the target, or says why it cannot get there. */
async function waitForTarget(use: Replaying, at: { feeder: Feeder; server: Launched }): Promise<Reached> {
  const { plan, run } = use;
  const { feeder, server } = at;
  const place = placeOf(plan);
  const startedMs = run.clock.nowMs();
  const stall = stallWatch(use, feeder);
  for (;;) {
    run.signal.throwIfAborted();
    const state = await askServer(plan);
    if (state && !state.inRecovery) return state;
    const log = state && !state.paused ? {} : await readRecoveryLog(place);
    if (log.insufficient) {
      await restartHigher(use, { place, server, insufficient: log.insufficient });
      continue;
    }
    if (state?.paused && hasStopped(log)) return state;
    if (!state) await explainIfDead(use, { place, server });
    stall(state !== undefined);
    const done = state ? Math.max(0, lsnDistanceBytes(plan.base.startLsn, state.lsn)) : 0;
    run.progress({
      phase: 'replay',
      doneBytes: done,
      totalBytes: Math.max(plan.estimate.walBytes, done),
      note: noteOf(state),
      counters: { segments: feeder.served, seconds: Math.round((run.clock.nowMs() - startedMs) / 1000) },
    });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

function noteOf(state: Asked | undefined): string {
  if (!state) return 'starting';
  if (state.paused) return `paused at ${state.lsn}, before the target: select pg_wal_replay_resume()`;
  return `replayed to ${state.lsn}`;
}

/** Undefined while the server takes no sessions. */
async function askServer(plan: RecoveryPlan): Promise<Asked | undefined> {
  try {
    return await withRecovered(plan, { statementTimeoutMs: 5_000 }, async (client) => {
      const [row] = await query<{
        recovery: boolean;
        state: string | null;
        lsn: string | null;
        commit: string | null;
        tli: number;
      }>(
        client,
        `select r as recovery,
                case when r then pg_get_wal_replay_pause_state() end as state,
                case when r then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text as lsn,
                to_char(pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as commit,
                case when r then (select coalesce(nullif(min_recovery_end_timeline, 0), c.timeline_id)
                                    from pg_control_recovery(), pg_control_checkpoint() c)
                     else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as tli
           from pg_is_in_recovery() r`,
      );
      if (!row) return undefined;
      const commit = row.commit === null ? {} : { lastCommitAt: row.commit };
      return {
        inRecovery: row.recovery,
        paused: row.state === 'paused',
        lsn: row.lsn ?? '0/0',
        timeline: row.tli,
        ...commit,
      };
    });
  } catch (error) {
    if (findFailure(error)) return undefined;
    throw error;
  }
}

/** The server ended by itself: its log says why, and most reasons will not go away by trying again. */
export async function explainIfDead(use: Replaying, at: { place: Place; server: Launched }): Promise<void> {
  const { plan, wal } = use;
  const { place, server } = at;
  const lives = async (): Promise<boolean> =>
    (server.pid !== undefined && isAlive(server.pid)) || (await runningServer(place.data)) !== undefined;
  if (await lives()) return;
  // Its last words may still be on their way through the collector of its log.
  await use.run.clock.sleep(5 * POLL_MS, use.run.signal);
  if (await lives()) return;
  const log = await readRecoveryLog(place);
  // Written after the last look for it: the next look starts the server again with more.
  if (log.insufficient) return;
  if (log.redoneTo !== undefined) await refuseHole(plan, wal, log.redoneTo);
  throw await fatalFailure(plan, place, log);
}

/**
 * The source's settings may have been raised after the backup: replay then waits, or the server gives up. It is started
 * again with what its log asks for.
 */
export async function restartHigher(
  use: Replaying,
  at: { place: Place; server: Launched; insufficient: NonNullable<RecoveryLog['insufficient']> },
): Promise<void> {
  const { place, server, insufficient } = at;
  use.run.log.warn('replay needs a higher setting than the backup knew of', { says: insufficient.says });
  if (!(await raiseSettings(place, insufficient.needed))) throw tooLow(insufficient);
  await stopServer(place.data, use.run);
  server.pid = await start(use, place);
}

/** Fails when a server that takes no sessions has not moved for `startTimeout`, while no file it wants is on its way. */
export function stallWatch(use: Replaying, feeder: Feeder): (speaks: boolean) => void {
  const { run, plan } = use;
  const limitMs = use.options.restore.startTimeout;
  let seen = -1;
  let sinceMs = 0;
  return (speaks) => {
    const nowMs = run.clock.nowMs();
    if (speaks || feeder.busy || feeder.served !== seen) [seen, sinceMs] = [feeder.served, nowMs];
    if (nowMs - sinceMs < limitMs) return;
    throw failure('Unavailable', 'recovering server does not reach a consistent state', {
      place: placeOf(plan).log,
      expected: `sessions, or another WAL file, within ${formatDuration(limitMs)}`,
      found: `${feeder.served} WAL files taken, then silence`,
      hint: 'see its log; raise restore.startTimeout if it is only slow',
    });
  };
}

async function evidence(use: Replaying, reached: Reached, segments: number): Promise<ReplayEvidence> {
  const { plan } = use;
  const log = await readRecoveryLog(placeOf(plan));
  const { base } = plan;
  const passed = await passedOver(plan, placeOf(plan));
  const commit = reached.lastCommitAt === undefined ? {} : { lastCommitAt: reached.lastCommitAt };
  return {
    consistentAt: log.consistentAt ?? '0/0',
    stopReason: log.stopReason ?? 'unknown',
    stoppedAtLsn: reached.lsn,
    ...commit,
    walBytes: compareLsn(reached.lsn, base.startLsn) > 0 ? lsnDistanceBytes(base.startLsn, reached.lsn) : 0,
    segments,
    timeline: reached.timeline,
    ...(passed === undefined ? {} : { passedOver: passed }),
  };
}
