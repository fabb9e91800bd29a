import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { WalVault } from '../../source.ts';
import { freeBytesOf, fullDisk } from './full-disk.ts';
import { missingAfter } from './holes.ts';
import type { Place } from './place.ts';
import type { RecoveryLog } from './server-log.ts';
import { readStartupErrors } from './server-log.ts';

/** SQLSTATE disk_full */
const DISK_FULL = '53100';

/** Why the recovering server gave up, by its own last words; a full disk may have taken those too. */
export async function fatalFailure(plan: RecoveryPlan, place: Place, log: RecoveryLog): Promise<Error> {
  const said = log.fatal ?? (await readStartupErrors(place));
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
  if (log.fatalState === DISK_FULL || (await isFull(place.data))) {
    return fullDisk(place.data, { place: place.data, found: said });
  }
  if (said === '') {
    return failure('Unavailable', 'recovering server ended without a word', {
      place: place.log,
      hint: 'it is started again by itself',
    });
  }
  return failure('Integrity', `recovering server gave up: ${said}`, {
    ...facts,
    hint: 'see its log; try an earlier target or another base with --point',
  });
}

const FULL_BYTES = 1 << 20;

async function isFull(path: string): Promise<boolean> {
  return (await freeBytesOf(path)) < FULL_BYTES;
}

export function tooLow(insufficient: NonNullable<RecoveryLog['insufficient']>): Error {
  return failure('Precondition', 'replay needs a higher setting than the recovered server has', {
    place: 'restore.settings',
    found: insufficient.says,
    hint: 'set it in restore.settings, then run the same command again',
  });
}

/** Integrity when recovery ended at `lsn` although the vault held more when it was planned: a hole looks like the end of WAL to the server. */
export async function refuseHole(plan: RecoveryPlan, wal: WalVault, lsn: Lsn): Promise<void> {
  const { systemId, segmentBytes } = plan.base;
  const [objects, histories] = [await wal.list({ systemId }), await wal.histories(systemId)];
  const promisedLsn = plan.legs.at(-1)?.toLsn;
  const held = { objects, histories, timeline: plan.timeline, segmentBytes };
  const missing = missingAfter({ ...held, ...(promisedLsn === undefined ? {} : { promisedLsn }) }, lsn);
  if (!missing) return;
  throw failure('Integrity', `recovery ended at ${missing.from} although the vault holds later WAL`, {
    place: `WAL of timeline ${missing.timeline}`,
    expected: `WAL from ${missing.from} on without a hole`,
    found: missing.why,
    hint: 'choose a target before it, or a base after it with --point: lifeboat wal shows ranges and gaps',
  });
}
