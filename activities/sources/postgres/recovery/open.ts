import { failure } from '../../../../workflows/model/failure.ts';
import type { OpenEvidence, RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import { closeHollow } from './close-hollow.ts';
import { whileFeeding } from './feeder.ts';
import { placeOf } from './place.ts';
import { replayWal } from './replay.ts';
import { hasStopped, readRecoveryLog } from './server-log.ts';
import { runningServer } from '../../../io/postgres/server.ts';
import { withRecovered } from './session.ts';
import type { Replaying } from './start.ts';

const PROMOTE_MS = 3_600_000;
const POLL_MS = 20;
/** More WAL than this may have left so many pages to write that an open without a checkpoint is the sooner one. */
const SHORT_REPLAY_BYTES = 64 << 20;

/** Promotes, or leaves the server where it paused; a repeat finds it done. */
export async function openRecovered(use: Replaying): Promise<OpenEvidence> {
  const { plan, host, wal, run } = use;
  // Somebody may have stopped it since it reached its target: it goes there again first.
  if ((await runningServer(plan.into)) === undefined) await replayWal(use);
  const { systemId, segmentBytes } = plan.base;
  // A server that promotes asks for its last segment and for the history of the timeline it is about to take.
  return whileFeeding({ place: placeOf(plan), host, wal, run, systemId, segmentBytes }, (_feeder, fedRun) =>
    openServer(plan, fedRun),
  );
}

async function openServer(plan: RecoveryPlan, run: Run): Promise<OpenEvidence> {
  return withRecovered(plan, { signal: run.signal }, async (client) => {
    if (plan.action === 'promote') {
      await promote(client, plan, run);
      await closeHollow(client, plan);
    }
    const [row] = await query<{ recovery: boolean; tli: number | null }>(
      client,
      `select r as recovery, case when r then null else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as tli
         from pg_is_in_recovery() r`,
    );
    const pid = (await runningServer(plan.into)) ?? 0;
    const state = row?.recovery === false ? 'open' : 'paused';
    return {
      host: '127.0.0.1',
      port: plan.port,
      dataDirectory: plan.into,
      pid,
      state,
      timeline: row?.tli ?? plan.timeline,
    };
  });
}

/** Ends the recovery of a server that waits at its target, and of no other: one that is on its way there is waited for. */
async function promote(client: SqlClient, plan: RecoveryPlan, run: Run): Promise<void> {
  const untilMs = run.clock.nowMs() + PROMOTE_MS;
  for (let told = false; await isRecovering(client);) {
    if (!told) told = await endIfThere(client, plan);
    if (run.clock.nowMs() > untilMs) {
      throw failure('OutcomeUnknown', 'recovered server was told to promote and still recovers', {
        place: plan.into,
        hint: 'see its log, then run the same command again',
      });
    }
    run.progress({ phase: 'open', note: told ? 'promoting' : 'on its way to the target, or paused by somebody' });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

async function isRecovering(client: SqlClient): Promise<boolean> {
  const [row] = await query<{ recovering: boolean }>(client, 'select pg_is_in_recovery() as recovering');
  return row?.recovering !== false;
}

/**
 * True when it was at its target and has been told to go on. Told to resume it notices at once, since nothing but the end
 * is left (manual 19.5.6, recovery_target_action), and writes a checkpoint first; told to promote it notices within a
 * second, and writes none.
 */
async function endIfThere(client: SqlClient, plan: RecoveryPlan): Promise<boolean> {
  const [row] = await query<{ paused: boolean; bytes: string }>(
    client,
    `select pg_get_wal_replay_pause_state() = 'paused' as paused, (pg_last_wal_replay_lsn() - $1::pg_lsn)::text as bytes`,
    [plan.base.startLsn],
  );
  if (!row?.paused || !hasStopped(await readRecoveryLog(placeOf(plan)))) return false;
  const short = Number(row.bytes) <= SHORT_REPLAY_BYTES;
  await query(client, short ? 'select pg_wal_replay_resume()' : 'select pg_promote(false)');
  return true;
}
