import { findFailure, isFailure, isRetryable } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { formatLsn, lsnDistanceBytes, parseLsn, segmentStart } from '../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import { timelineHistory } from '../../../io/postgres/replication.ts';
import { parseHistory } from '../../../../workflows/model/timeline.ts';
import type { PostgresOptions } from '../options.ts';
import { readIdentity } from '../identity.ts';
import { beginning, behindHole } from './beginning.ts';
import { serverToFollow, whileFollowed } from './follow.ts';
import { startHeartbeat } from './heartbeat.ts';
import type { Resume } from './resume.ts';
import { Patience } from './patience.ts';
import type { Session, Shipment } from './shipment.ts';
import { streamTimeline } from './stream.ts';
import { connectWalsender } from './walsender.ts';

/** Objects hold at most this much WAL. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const RECONNECT_MS = 2_000;

/**
 * Streams until the signal fires. A lost connection is made again, a lost slot is not papered over; a database or a store
 * that is away for longer than we wait by ourselves is the failure.
 */
export async function shipWal(
  shipment: Omit<Shipment, 'patience' | 'options'> & { options: PostgresOptions },
): Promise<{ timeline: number; endLsn: Lsn; bytes: number }> {
  const { run } = shipment;
  const patience = new Patience();
  const total = { timeline: 0, endLsn: '0/0', bytes: 0 };
  while (!run.signal.aborted) {
    try {
      const connection = await serverToFollow(shipment);
      const options = { ...shipment.options, connection };
      await withConnection(connection, {}, async (sql) => {
        const identity = await readIdentity(sql);
        const sending = { from: connection, timeline: identity.timeline };
        await whileFollowed(shipment, sending, (followed) =>
          shipFrom({ ...shipment, options, patience, sql, run: followed }, { identity, total }),
        );
      });
    } catch (error) {
      if (run.signal.aborted) break;
      if (!isRetryable(error) || isFailure(error, 'Busy')) throw error;
      patience.bad(run.clock.nowMs());
      if (patience.isOver(run.clock.nowMs())) throw error;
      run.progress({ phase: 'waiting', note: `it is tried again: ${findFailure(error)?.message ?? String(error)}` });
      await run.clock.sleep(RECONNECT_MS, run.signal).catch(() => undefined);
    }
  }
  return total;
}

type Total = { timeline: number; endLsn: Lsn; bytes: number };

/** One connection's worth: finds where to begin, then follows timelines as the server goes on to them. */
async function shipFrom(session: Session, { identity, total }: { identity: Identity; total: Total }): Promise<void> {
  const chunkBytes = Math.min(CHUNK_BYTES, identity.segmentBytes);
  const beat = startHeartbeat(session.sql, session.ship.heartbeatEveryMs, session.run);
  try {
    await keepHistories(session, identity);
    const from = await beginning(session, identity, chunkBytes);
    let resume: Resume | undefined = from.resume;
    while (resume && !session.run.signal.aborted) {
      let end;
      try {
        end = await streamTimeline({ ...session, identity, resume, chunkBytes });
      } catch (error) {
        resume = await behindHole({ session, identity, from, resume }, error);
        if (!resume) throw error;
        continue;
      }
      total.bytes += Math.max(0, lsnDistanceBytes(resume.durableLsn, end.durableLsn));
      total.timeline = resume.timeline;
      total.endLsn = end.durableLsn;
      resume = await nextTimeline(session, identity, end);
    }
  } finally {
    beat.stop();
  }
}

/** Where the server's next timeline begins, when the present one has ended. */
async function nextTimeline(
  session: Session,
  identity: Identity,
  end: { nextTimeline?: number; switchLsn?: Lsn },
): Promise<Resume | undefined> {
  if (end.nextTimeline === undefined || end.switchLsn === undefined) return undefined;
  session.run.log.info('timeline ended', { next: end.nextTimeline, at: end.switchLsn });
  await keepHistories(session, { ...identity, timeline: end.nextTimeline });
  const startLsn = formatLsn(segmentStart(parseLsn(end.switchLsn), identity.segmentBytes));
  return { timeline: end.nextTimeline, startLsn, durableLsn: startLsn, pieces: [] };
}

/** Stores every history file that leads to the server's timeline: recovery needs them all. */
async function keepHistories(session: Session, { systemId, timeline: newest }: Identity): Promise<void> {
  if (newest === 1) return;
  await using connection = await connectWalsender(session, systemId);
  const keep = async (timeline: number): Promise<Buffer> => {
    const content = await timelineHistory(connection, timeline);
    await session.vault.putHistory(systemId, timeline, content);
    return content;
  };
  const { ancestors } = parseHistory(newest, (await keep(newest)).toString('utf8'));
  for (const { timeline } of ancestors) if (timeline > 1) await keep(timeline);
}
