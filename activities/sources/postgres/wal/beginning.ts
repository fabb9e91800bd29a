import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, segmentStart } from '../../../../workflows/model/lsn.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import { holeOf, isKnown } from '../../../../workflows/model/wal-hole.ts';
import { rangesOf } from '../../../../workflows/model/wal-coverage.ts';
import type { WalHole } from '../../../../workflows/model/wal.ts';
import { sqlStateOf } from '../../../io/postgres/failures.ts';
import { createSlot } from '../../../io/postgres/replication.ts';
import type { Run } from '../../../io/run.ts';
import { holeFailure } from './holes.ts';
import type { Resume } from './resume.ts';
import { durableBefore, resumePoint } from './resume.ts';
import type { Session } from './shipment.ts';
import { busySlot, dropSlot, readSlot } from './slot.ts';
import { connectWalsender } from './walsender.ts';

export interface Beginning {
  resume: Resume;
  /** Where to go on, one after the other, should the server no longer have what lies before it; and where that hole ends. */
  next: { resume: Resume; holeEnd: Lsn }[];
}

/** Makes sure of the slot and finds the position to begin at. */
export async function beginning(session: Session, identity: Identity, chunkBytes: number): Promise<Beginning> {
  const { vault } = session;
  const { systemId, segmentBytes, timeline: serverTimeline } = identity;
  const stored = await vault.list({ systemId });
  const histories = await vault.histories(systemId);
  const facts = { systemId, serverTimeline, histories, stored, chunkBytes, segmentBytes };
  const known = resumePoint(facts);
  const { kept, isNew } = await ensureSlot(session, { systemId, hadWal: known !== undefined });
  const keptLsn = isNew ? durableBefore(stored, session.ship.spoolBytes) : kept;
  const resume = resumePoint({ ...facts, ...(keptLsn === undefined ? {} : { keptLsn }) });
  const fresh = freshStart(identity, kept);
  if (!resume) return { resume: fresh, next: [] };
  // A new slot keeps nothing older than itself, but the server may still have it: only its refusal makes a hole.
  const behind = { resume: fresh, holeEnd: fresh.startLsn };
  const last = rangesOf(stored).at(-1);
  const next = isNew && known && last ? [{ resume: known, holeEnd: last.startLsn }, behind] : [behind];
  return { resume, next: next.filter((each) => compareLsn(each.resume.durableLsn, resume.durableLsn) > 0) };
}

/** "requested WAL segment has already been removed" (walsender.c) */
const WAL_REMOVED = '58P01';

interface Refused {
  session: Session;
  identity: Identity;
  from: Beginning;
  /** What the server no longer has. */
  resume: Resume;
}

/** What follows a hole that the caller was told of; any other is said plainly. Undefined for other failures. */
export async function behindHole(
  { session, identity, from, resume }: Refused,
  error: unknown,
): Promise<Resume | undefined> {
  const { ship, sql, run } = session;
  const found = holeOf(error);
  if (found) return isKnown(found, ship.passHole) ? startOf(found, run) : undefined;
  const tried = [from.resume, ...from.next.map((each) => each.resume)].indexOf(resume);
  if (sqlStateOf(error) !== WAL_REMOVED || tried < 0) return undefined;
  const { systemId } = identity;
  let next = from.next[tried];
  if (!next) {
    if (tried > 0) return undefined;
    // The slot stands at WAL that is gone, whatever its status says: it can never be used again.
    await dropSlot(sql, ship.slot);
    const fresh = freshStart(identity, (await ensureSlot(session, { systemId, hadWal: true })).kept);
    next = { resume: fresh, holeEnd: fresh.startLsn };
  }
  const hole = { systemId, timeline: next.resume.timeline, from: resume.durableLsn, to: next.holeEnd };
  if (!isKnown(hole, ship.passHole)) throw holeFailure(ship.slot, hole);
  run.log.warn('going on after a hole, as told; a new base is needed', { ...hole });
  return next.resume;
}

function startOf({ timeline, to }: WalHole, run: Run): Resume {
  run.log.warn('going on behind WAL that no replay takes, as told; a new base is needed', { timeline, to });
  return { timeline, startLsn: to, durableLsn: to, pieces: [] };
}

/** The segment that the slot keeps first. */
function freshStart({ timeline, segmentBytes }: Identity, kept: Lsn): Resume {
  const startLsn = formatLsn(segmentStart(parseLsn(kept), segmentBytes));
  return { timeline, startLsn, durableLsn: startLsn, pieces: [] };
}

/** First position the server keeps for us. A slot that lost its WAL is replaced, because it can never be used again. */
async function ensureSlot(
  session: Session,
  { systemId, hadWal }: { systemId: string; hadWal: boolean },
): Promise<{ kept: Lsn; isNew: boolean }> {
  const { sql, ship, run } = session;
  const slot = await readSlot(sql, ship.slot);
  if (slot?.activePid !== undefined) throw busySlot(ship.slot, slot.activePid);
  if (slot?.restartLsn !== undefined && slot.walStatus !== 'lost') return { kept: slot.restartLsn, isNew: false };
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
  return { kept: made.restartLsn, isNew: true };
}
