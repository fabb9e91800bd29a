import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { WalVault } from '../../source.ts';
import { missingAfter } from './holes.ts';
import type { Place } from './place.ts';
import type { RecoveryLog } from './server-log.ts';

/** Why the recovering server gave up, by its own last words. */
export function fatalFailure(plan: RecoveryPlan, place: Place, said: string): Error {
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

export function tooLow(insufficient: NonNullable<RecoveryLog['insufficient']>): Error {
  return failure('Precondition', 'replay needs a higher setting than the recovered server has', {
    place: 'restore.settings',
    found: insufficient.says,
    hint: 'set it in restore.settings, then run the same command again',
  });
}

/** Integrity when recovery ended at `lsn` although the vault holds more: a hole looks like the end of WAL to the server. */
export async function refuseHole(plan: RecoveryPlan, wal: WalVault, lsn: Lsn): Promise<void> {
  const { systemId, segmentBytes } = plan.base;
  const [objects, histories] = [await wal.list({ systemId }), await wal.histories(systemId)];
  const missing = missingAfter({ objects, histories, timeline: plan.timeline, segmentBytes }, lsn);
  if (!missing) return;
  throw failure('Integrity', `recovery ended at ${missing.from} although the vault holds later WAL`, {
    place: `WAL of timeline ${missing.timeline}`,
    expected: `WAL from ${missing.from} on without a hole`,
    found: missing.why,
    hint: 'choose a target before it, or a base after it with --point: lifeboat wal shows ranges and gaps',
  });
}
