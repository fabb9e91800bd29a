import { failure } from '../../../../workflows/model/failure.ts';
import type { OpenEvidence, RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { query } from '../../../io/postgres/connection.ts';
import { whileFeeding } from './feeder.ts';
import { placeOf } from './place.ts';
import { replayWal } from './replay.ts';
import { runningServer } from './server.ts';
import { withRecovered } from './session.ts';
import type { Replaying } from './start.ts';

const PROMOTE_SECONDS = 3600;

/** Promotes, or leaves the server where it paused; a repeat finds it done. */
export async function openRecovered(use: Replaying): Promise<OpenEvidence> {
  const { plan, host, wal, run } = use;
  // Somebody may have stopped it since it reached its target: it goes there again first.
  if ((await runningServer(plan.into)) === undefined) await replayWal(use);
  const { systemId, segmentBytes } = plan.base;
  // A server that promotes asks for its last segment and for the history of the timeline it is about to take.
  return whileFeeding({ place: placeOf(plan), host, wal, run, systemId, segmentBytes }, (_feeder, { signal }) =>
    openServer(plan, signal),
  );
}

async function openServer(plan: RecoveryPlan, signal: AbortSignal): Promise<OpenEvidence> {
  const promote = plan.action === 'promote';
  return withRecovered(plan, { signal, statementTimeoutMs: (PROMOTE_SECONDS + 60) * 1000 }, async (client) => {
    if (promote)
      await query(client, 'select case when pg_is_in_recovery() then pg_promote(true, $1) end', [PROMOTE_SECONDS]);
    const [row] = await query<{ recovery: boolean; tli: number | null }>(
      client,
      `select r as recovery, case when r then null else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as tli
         from pg_is_in_recovery() r`,
    );
    if (promote && row?.recovery !== false) {
      throw failure('OutcomeUnknown', 'recovered server was told to promote and still recovers', {
        place: plan.into,
        hint: 'see its log, then run the same command again',
      });
    }
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
