import { existsSync } from 'node:fs';
import { chmod, chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, findFailure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../workflows/model/lsn.ts';
import type { RecoveryPlan, ReplayEvidence } from '../../../../workflows/model/recovery.ts';
import { query } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { WalVault } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import type { Feeder } from './feeder.ts';
import { whileFeeding } from './feeder.ts';
import type { Host } from './host.ts';
import type { Place } from './place.ts';
import { placeOf } from './place.ts';
import { restoreCommandScript } from './restore-command.ts';
import { readRecoveryLog, readStartupErrors } from './server-log.ts';
import { launchServer, runningServer } from './server.ts';
import { withRecovered } from './session.ts';
import { writeRecoverySettings } from './settings.ts';

const POLL_MS = 100;

export interface Replaying {
  plan: RecoveryPlan;
  host: Host;
  options: PostgresOptions;
  wal: WalVault;
  run: Run;
}

/** Replays to the target on a server of its own; a server that already runs for this plan is taken over. */
export async function replayWal(use: Replaying): Promise<ReplayEvidence> {
  const { plan, host, wal, run } = use;
  const place = placeOf(plan);
  const { systemId, segmentBytes } = plan.base;
  if ((await runningServer(place.data)) === undefined) await start(use, place);
  return whileFeeding({ place, host, wal, run, systemId, segmentBytes }, async (feeder) => {
    const reached = await waitForTarget(use, feeder);
    return evidence(use, reached, feeder.served);
  });
}

async function start(use: Replaying, place: Place): Promise<void> {
  const { plan, host, options } = use;
  await writeOwned(place.restoreCommand, restoreCommandScript(place.spool), host);
  await writeRecoverySettings({ plan, place, host, options, segmentBytes: plan.base.segmentBytes });
  // Present until the recovery has ended: its absence on a data directory that once had it means "recovered".
  const begun = join(place.work, 'replay-begun');
  if (!existsSync(begun)) {
    await writeOwned(join(place.data, 'recovery.signal'), '', host);
    await writeOwned(begun, '', host);
  }
  await rm(join(place.log, 'stderr'), { force: true });
  await rm(join(place.data, 'postmaster.pid'), { force: true });
  launchServer(place, host);
}

async function writeOwned(path: string, content: string, host: Host): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o700);
  if (host.as) await chown(path, host.as.uid, host.as.gid);
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
async function waitForTarget(use: Replaying, feeder: Feeder): Promise<Reached> {
  const { plan, run } = use;
  const place = placeOf(plan);
  const startedMs = run.clock.nowMs();
  for (;;) {
    run.signal.throwIfAborted();
    const state = await askServer(plan);
    if (state && isThere(state)) return state;
    if (!state) await explainIfDead(use, place);
    await explainIfStuck(place, state);
    const done = state ? Math.max(0, lsnDistanceBytes(plan.base.startLsn, state.lsn)) : 0;
    run.progress({
      phase: 'replay',
      doneBytes: done,
      totalBytes: Math.max(plan.estimate.walBytes, done),
      note: state ? `replayed to ${state.lsn}` : 'starting',
      counters: { segments: feeder.served, seconds: Math.round((run.clock.nowMs() - startedMs) / 1000) },
    });
    await run.clock.sleep(POLL_MS, run.signal);
  }
}

/** Recovery waits at its target, or, without one, has ended by itself. */
function isThere(state: Asked): boolean {
  return state.paused || !state.inRecovery;
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
async function explainIfDead(use: Replaying, place: Place): Promise<void> {
  if ((await runningServer(place.data)) !== undefined) return;
  // It may have ended between our question and this look, or not have written its pid yet.
  await use.run.clock.sleep(5 * POLL_MS, use.run.signal);
  if ((await runningServer(place.data)) !== undefined) return;
  const log = await readRecoveryLog(place);
  const said = log.fatal ?? (await readStartupErrors(place));
  if (said === '') {
    throw failure('Unavailable', 'recovering server ended without a word', {
      place: place.log,
      hint: 'it is started again by itself',
    });
  }
  throw fatalFailure(use.plan, place, said);
}

function fatalFailure(plan: RecoveryPlan, place: Place, said: string): Error {
  const facts = { place: place.log, found: said };
  const { window } = plan;
  if (said.includes('recovery ended before configured recovery target was reached')) {
    const expected = `a target up to ${window.to ?? window.toLsn}`;
    return failure('Precondition', 'WAL ends before the target', {
      ...facts,
      expected,
      hint: 'choose an earlier target, or --to-latest',
    });
  }
  if (said.includes('requested recovery stop point is before consistent recovery point')) {
    return failure('Precondition', 'target lies before the end of the base backup', {
      ...facts,
      expected: `a target after ${window.from}`,
      hint: 'choose a later target or an older backup: lifeboat list',
    });
  }
  if (said.includes('No space left on device')) {
    return failure('Precondition', 'disk is full during replay', {
      ...facts,
      hint: 'free space, then run the same command again: it continues',
    });
  }
  return failure('Integrity', `recovering server gave up: ${said}`, {
    ...facts,
    hint: 'see its log; try an earlier target or another base with --point',
  });
}

/** Replay waits for ever when a setting is lower than the WAL needs; plain words instead. */
async function explainIfStuck(place: Place, state: Asked | undefined): Promise<void> {
  if (!state?.inRecovery) return;
  const { insufficient } = await readRecoveryLog(place);
  if (insufficient === undefined) return;
  throw failure('Precondition', 'replay needs a higher setting than the backup knew of', {
    place: 'restore.settings',
    found: insufficient,
    hint: 'set it in restore.settings, then run the same command again',
  });
}

async function evidence(use: Replaying, reached: Reached, segments: number): Promise<ReplayEvidence> {
  const { plan } = use;
  const log = await readRecoveryLog(placeOf(plan));
  const { base } = plan;
  const commit = reached.lastCommitAt === undefined ? {} : { lastCommitAt: reached.lastCommitAt };
  return {
    consistentAt: log.consistentAt ?? '0/0',
    stopReason: log.stopReason ?? 'unknown',
    stoppedAtLsn: reached.lsn,
    ...commit,
    walBytes: compareLsn(reached.lsn, base.startLsn) > 0 ? lsnDistanceBytes(base.startLsn, reached.lsn) : 0,
    segments,
    timeline: reached.timeline,
  };
}
