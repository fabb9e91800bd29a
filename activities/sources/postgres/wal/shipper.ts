import { failure, isFailure, isRetryable } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn, segmentStart } from '../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import { parseHistory } from '../../../../workflows/model/timeline.ts';
import type { HoleEvidence, TimelineHistory } from '../../../../workflows/model/wal.ts';
import type { SqlClient } from '../../../io/postgres/connection.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import type { ReplicationConnection } from '../../../io/postgres/replication.ts';
import { connectReplication, createSlot, timelineHistory } from '../../../io/postgres/replication.ts';
import type { Run } from '../../../io/run.ts';
import type { ShipOptions, WalVault } from '../../source.ts';
import { readIdentity } from '../identity.ts';
import type { PostgresOptions } from '../options.ts';
import { startHeartbeat } from './heartbeat.ts';
import type { Resume } from './resume.ts';
import { resumePoint } from './resume.ts';
import { dropSlot, readSlot } from './slot.ts';
import { streamTimeline } from './stream.ts';

/** Objects hold at most this much WAL. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const RECONNECT_MS = 2_000;

export interface Shipment {
  options: PostgresOptions;
  ship: ShipOptions;
  vault: WalVault;
  run: Run;
}

/** Streams until the signal fires; a lost connection is made again, a lost slot is not papered over. */
export async function shipWal(shipment: Shipment): Promise<{ timeline: number; endLsn: Lsn; bytes: number }> {
  const { run } = shipment;
  const total = { timeline: 0, endLsn: '0/0', bytes: 0 };
  let acceptGap = shipment.ship.acceptGap;
  while (!run.signal.aborted) {
    try {
      await withConnection(shipment.options.connection, {}, async (sql) => {
        const session = { ...shipment, ship: { ...shipment.ship, acceptGap }, sql };
        await shipFrom(session, total, () => (acceptGap = false));
      });
    } catch (error) {
      if (run.signal.aborted) break;
      if (!isRetryable(error) || isFailure(error, 'Busy')) throw error;
      run.progress({ phase: 'waiting', note: `database not reachable: ${(error as Error).message}` });
      await run.clock.sleep(RECONNECT_MS, run.signal).catch(() => undefined);
    }
  }
  return total;
}

interface Session extends Shipment {
  sql: SqlClient;
}

type Total = { timeline: number; endLsn: Lsn; bytes: number };

/** One connection's worth: finds where to begin, then follows timelines as the server goes on to them. */
async function shipFrom(session: Session, total: Total, begun: () => void): Promise<void> {
  const identity = await readIdentity(session.sql);
  const chunkBytes = Math.min(CHUNK_BYTES, identity.segmentBytes);
  const beat = startHeartbeat(session.sql, session.ship.heartbeatEveryMs, session.run);
  try {
    await keepHistories(session, identity);
    const from = await beginning(session, identity, chunkBytes);
    let resume: Resume | undefined = from.resume;
    while (resume && !session.run.signal.aborted) {
      const streaming = { ...session, identity, resume, chunkBytes, onStart: begun };
      let end;
      try {
        end = await streamTimeline(streaming);
      } catch (error) {
        resume = resume === from.resume ? await behindHole({ session, identity, from }, error) : undefined;
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
async function keepHistories(session: Session, identity: Identity): Promise<TimelineHistory[]> {
  if (identity.timeline === 1) return [];
  const { options, vault, run } = session;
  await using connection = await connectReplication(options.connection, run);
  const newest = await keepHistory({ connection, vault, run }, identity.systemId, identity.timeline);
  const histories = [newest];
  for (const { timeline } of newest.ancestors) {
    if (timeline > 1) histories.push(await keepHistory({ connection, vault, run }, identity.systemId, timeline));
  }
  return histories;
}

async function keepHistory(
  use: { connection: ReplicationConnection; vault: WalVault; run: Run },
  systemId: string,
  timeline: number,
): Promise<TimelineHistory> {
  const content = await timelineHistory(use.connection, timeline);
  await use.vault.putHistory(systemId, timeline, content);
  return parseHistory(timeline, content.toString('utf8'));
}

interface Beginning {
  resume: Resume;
  /** Where to go on, should the server no longer have what lies before what the slot keeps. */
  kept?: Resume;
}

/** Makes sure of the slot and finds the position to begin at. */
async function beginning(session: Session, identity: Identity, chunkBytes: number): Promise<Beginning> {
  const { vault } = session;
  const { systemId, segmentBytes, timeline: serverTimeline } = identity;
  const stored = await vault.list({ systemId });
  const histories = await vault.histories(systemId);
  const facts = { systemId, serverTimeline, histories, stored, chunkBytes, segmentBytes };
  const known = resumePoint(facts);
  const kept = await ensureSlot(session, known !== undefined);
  const resume = resumePoint({ ...facts, keptLsn: kept });
  const fresh = freshStart(identity, kept);
  if (!resume) return { resume: fresh };
  // A new slot keeps nothing older than itself, but the server may still have it: only its refusal makes a hole.
  return compareLsn(fresh.startLsn, resume.durableLsn) <= 0 ? { resume } : { resume, kept: fresh };
}

/** "requested WAL segment has already been removed" (walsender.c) */
const WAL_REMOVED = '58P01';

/** What follows a hole, once the caller has accepted it; without that it is said plainly. Undefined for other failures. */
async function behindHole(
  { session, identity, from }: { session: Session; identity: Identity; from: Beginning },
  error: unknown,
): Promise<Resume | undefined> {
  const { ship, sql, run } = session;
  if (sqlStateOf(error) !== WAL_REMOVED) return undefined;
  let { kept } = from;
  if (!kept) {
    // Our first report took the slot back to WAL that is gone, whatever its status says: it can never be used again.
    await dropSlot(sql, ship.slot);
    kept = freshStart(identity, await ensureSlot(session, true));
  }
  const [lost, next] = [from.resume.durableLsn, kept.startLsn];
  if (!ship.acceptGap) throw holeFailure(ship.slot, { from: lost, to: next });
  run.log.warn('going on after a hole, as told; a new base is needed', { from: lost, to: next });
  return kept;
}

/** The segment that the slot keeps first. */
function freshStart({ timeline, segmentBytes }: Identity, kept: Lsn): Resume {
  const startLsn = formatLsn(segmentStart(parseLsn(kept), segmentBytes));
  return { timeline, startLsn, durableLsn: startLsn, pieces: [] };
}

/** First position the server keeps for us. A slot that lost its WAL is replaced, because it can never be used again. */
async function ensureSlot(session: Session, hadWal: boolean): Promise<Lsn> {
  const { sql, ship, options, run } = session;
  const slot = await readSlot(sql, ship.slot);
  if (slot?.activePid !== undefined) throw busySlot(ship.slot, slot.activePid);
  if (slot?.restartLsn !== undefined && slot.walStatus !== 'lost') return slot.restartLsn;
  if (slot) {
    run.log.error('replication slot lost its WAL', { slot: slot.name, status: slot.walStatus });
    await dropSlot(sql, slot.name);
  } else if (hadWal) {
    run.log.error('replication slot is gone', { slot: ship.slot });
  }
  await using connection = await connectReplication(options.connection, run);
  await createSlot(connection, ship.slot);
  const made = await readSlot(sql, ship.slot);
  if (made?.restartLsn === undefined) throw failure('Bug', `slot ${ship.slot} keeps no WAL although it was just made`);
  return made.restartLsn;
}

function busySlot(slot: string, pid: number): Error {
  return failure('Busy', `replication slot ${slot} is in use`, {
    place: slot,
    expected: 'no other reader',
    found: `walsender ${pid}`,
    hint: 'another worker ships this source (lifeboat status), or one that died is not noticed yet: it is tried again',
    retryAfterMs: 3_000,
  });
}

function holeFailure(slot: string, { from, to }: { from: Lsn; to: Lsn }): Error {
  return failure('Integrity', `WAL from ${from} to ${to} is lost: the server no longer has it`, {
    place: slot,
    expected: `WAL from ${from} on`,
    found: `WAL from ${to} on`,
    hint: 'moments after the hole can be reached only from a new base: lifeboat backup; then raise max_slot_wal_keep_size',
    evidence: { hole: { from, to } } satisfies HoleEvidence,
  });
}
