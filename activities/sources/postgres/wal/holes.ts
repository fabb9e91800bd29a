import { failure } from '../../../../workflows/model/failure.ts';
import type { HoleEvidence, WalHole } from '../../../../workflows/model/wal.ts';

/** WAL that the server no longer has. */
export function holeFailure(slot: string, hole: WalHole): Error {
  const { from, to } = hole;
  return failure('Integrity', `WAL from ${from} to ${to} is lost: the server no longer has it`, {
    place: slot,
    expected: `WAL from ${from} on`,
    found: `WAL from ${to} on`,
    hint: 'moments after the hole can be reached only from a new base: lifeboat backup; then raise max_slot_wal_keep_size',
    evidence: { hole } satisfies HoleEvidence,
  });
}

/** WAL that the server has and that no replay takes (xlogrecovery.c, CheckRequiredParameterValues): it is not kept. */
export function minimalHole(slot: string, hole: WalHole): Error {
  const { from, to } = hole;
  return failure('Integrity', `WAL from ${from} to ${to} was written with wal_level = minimal: it cannot be replayed`, {
    place: slot,
    expected: 'wal_level = replica or logical at all times',
    found: 'wal_level = minimal for a while',
    hint: 'moments after it can be reached only from a new base: lifeboat backup',
    evidence: { hole } satisfies HoleEvidence,
  });
}
