import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, segmentStart } from '../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import { isKnown } from '../../../../workflows/model/wal-hole.ts';
import type { HoleEvidence, WalHole } from '../../../../workflows/model/wal.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import { createSlot } from '../../../io/postgres/replication.ts';
import type { Resume } from './resume.ts';
import { resumePoint } from './resume.ts';
import type { Session } from './shipment.ts';
import { dropSlot, readSlot } from './slot.ts';
import { connectWalsender } from './walsender.ts';

export interface Beginning {
  resume: Resume;
  /** Where to go on, should the server no longer have what lies before what the slot keeps. */
  kept?: Resume;
}

/** Makes sure of the slot and finds the position to begin at. */
export async function beginning(session: Session, identity: Identity, chunkBytes: number): Promise<Beginning> {
  const { vault } = session;
  const { systemId, segmentBytes, timeline: serverTimeline } = identity;
  const stored = await vault.list({ systemId });
  const histories = await vault.histories(systemId);
  const facts = { systemId, serverTimeline, histories, stored, chunkBytes, segmentBytes };
  const known = resumePoint(facts);
  const kept = await ensureSlot(session, { systemId, hadWal: known !== undefined });
  const resume = resumePoint({ ...facts, keptLsn: kept });
  const fresh = freshStart(identity, kept);
  if (!resume) return { resume: fresh };
  // A new slot keeps nothing older than itself, but the server may still have it: only its refusal makes a hole.
  return compareLsn(fresh.startLsn, resume.durableLsn) <= 0 ? { resume } : { resume, kept: fresh };
}

/** "requested WAL segment has already been removed" (walsender.c) */
const WAL_REMOVED = '58P01';

/** What follows a hole that the caller was told of; any other is said plainly. Undefined for other failures. */
export async function behindHole(
  { session, identity, from }: { session: Session; identity: Identity; from: Beginning },
  error: unknown,
): Promise<Resume | undefined> {
  const { ship, sql, run } = session;
  if (sqlStateOf(error) !== WAL_REMOVED) return undefined;
  const { systemId } = identity;
  let { kept } = from;
  if (!kept) {
    // The slot stands at WAL that is gone, whatever its status says: it can never be used again.
    await dropSlot(sql, ship.slot);
    kept = freshStart(identity, await ensureSlot(session, { systemId, hadWal: true }));
  }
  const hole = { systemId, timeline: kept.timeline, from: from.resume.durableLsn, to: kept.startLsn };
  if (!isKnown(hole, ship.passHole)) throw holeFailure(ship.slot, hole);
  run.log.warn('going on after a hole, as told; a new base is needed', { ...hole });
  return kept;
}

/** The segment that the slot keeps first. */
function freshStart({ timeline, segmentBytes }: Identity, kept: Lsn): Resume {
  const startLsn = formatLsn(segmentStart(parseLsn(kept), segmentBytes));
  return { timeline, startLsn, durableLsn: startLsn, pieces: [] };
}

/** First position the server keeps for us. A slot that lost its WAL is replaced, because it can never be used again. */
async function ensureSlot(session: Session, { systemId, hadWal }: { systemId: string; hadWal: boolean }): Promise<Lsn> {
  const { sql, ship, run } = session;
  const slot = await readSlot(sql, ship.slot);
  if (slot?.activePid !== undefined) throw busySlot(ship.slot, slot.activePid);
  if (slot?.restartLsn !== undefined && slot.walStatus !== 'lost') return slot.restartLsn;
  await using connection = await connectWalsender(session, systemId);
  if (slot) {
    run.log.error('replication slot lost its WAL', { slot: slot.name, status: slot.walStatus });
    await dropSlot(sql, slot.name);
  } else if (hadWal) {
    run.log.error('replication slot is gone', { slot: ship.slot });
  }
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

function holeFailure(slot: string, hole: WalHole): Error {
  const { from, to } = hole;
  return failure('Integrity', `WAL from ${from} to ${to} is lost: the server no longer has it`, {
    place: slot,
    expected: `WAL from ${from} on`,
    found: `WAL from ${to} on`,
    hint: 'moments after the hole can be reached only from a new base: lifeboat backup; then raise max_slot_wal_keep_size',
    evidence: { hole } satisfies HoleEvidence,
  });
}
