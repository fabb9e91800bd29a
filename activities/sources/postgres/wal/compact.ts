import { isFailure } from '../../../../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../../../../workflows/model/lsn.ts';
import { LONGEST_WAL_OBJECT_BYTES } from '../../../../workflows/model/wal.ts';
import type { WalObject } from '../../../../workflows/model/wal.ts';
import type { WalFault } from '../../../../workflows/model/wal-verify.ts';
import type { Run } from '../../../io/run.ts';
import { unlessRefused } from '../../../io/unless-refused.ts';
import type { WalVault } from '../../source.ts';
import type { Compacted, CompactOrder } from '../../stored-wal-care.ts';
import { coveredBy } from './compaction.ts';
import { assemble, faultOf, listed, LOOKS, unsettled, Vanished } from './verify/check-unit.ts';
import type { Unit } from './verify/units.ts';
import { MOST_UNIT_BYTES, unitsOf } from './verify/units.ts';

/**
 * Makes one object of what several hold. The segment that a stream is in stays as it is, unless that is wanted: it is made
 * whole when it is full.
 */
export async function* compactWal(
  vault: WalVault,
  order: CompactOrder,
  run: Run,
): AsyncIterable<Compacted | { fault: WalFault }> {
  const { objects, segmentBytes } = order;
  const newest = Math.max(0, ...objects.map(({ timeline }) => timeline));
  const units = [...unitsOf(objects, segmentBytes)];
  const last = units.findLast(({ timeline }) => timeline === newest);
  const window = BigInt(Math.min(segmentBytes, MOST_UNIT_BYTES));
  for (const unit of units) {
    run.signal.throwIfAborted();
    const isOpen = unit === last && unit.end % window !== 0n;
    if (unit.objects.length < 2 || (isOpen && order.open !== true)) continue;
    if (unit.end - unit.start > BigInt(LONGEST_WAL_OBJECT_BYTES)) continue;
    yield* await compactUnit({ vault, systemId: order.systemId }, unit);
  }
}

interface At {
  vault: WalVault;
  systemId: string;
}

type Outcome = Compacted | { fault: WalFault };

/** Again when somebody else compacts it, too. */
async function compactUnit(at: At, unit: Unit, look = 1): Promise<Outcome[]> {
  try {
    return await replace(at, unit);
  } catch (error) {
    if (!(error instanceof Vanished) && !isFailure(error, 'NotFound')) throw error;
    if (look === LOOKS) throw unsettled(unit);
    const now = await listed(at, unit);
    return now && now.objects.length > 1 ? compactUnit(at, now, look + 1) : [];
  }
}

/** Nothing is removed that was not read and compared, nor before what replaces it was read back. */
async function replace(at: At, unit: Unit): Promise<Outcome[]> {
  const { bytes, spans, faults } = await assemble(at, unit);
  if (faults.length > 0) return faults.map((fault) => ({ fault }));
  if (spans.length !== 1) return [];
  const whole = await stored(at, unit, bytes);
  if (!(await holds(at, whole, { start: unit.start, bytes }))) return [{ fault: faultOf(whole, NOT_WRITTEN) }];
  const refused: Compacted['refused'] = [];
  const pieces = coveredBy(whole, unit.objects);
  for (const piece of pieces) await unlessRefused(refused, piece.key, () => at.vault.remove(piece));
  return pieces.length === 0 ? [] : [{ key: whole.key, pieces: pieces.length - refused.length, refused }];
}

async function holds({ vault }: At, whole: WalObject, what: { start: bigint; bytes: Buffer }): Promise<boolean> {
  const offset = Number(what.start - parseLsn(whole.startLsn));
  return (await vault.read(whole)).subarray(offset, offset + what.bytes.length).equals(what.bytes);
}

const NOT_WRITTEN = { what: 'WAL object: read back', expected: 'the bytes of its pieces', found: 'others' };

/** The object that holds all of it, which is stored when there is none. */
async function stored(
  { vault, systemId }: At,
  { timeline, start, end, objects }: Unit,
  bytes: Buffer,
): Promise<WalObject> {
  const isWhole = (object: WalObject): boolean => parseLsn(object.startLsn) <= start && parseLsn(object.endLsn) >= end;
  const known = objects.find(isWhole);
  if (known) return known;
  const micros = Math.max(0, ...objects.map(({ lastCommitMicros }) => lastCommitMicros ?? 0));
  const startLsn = formatLsn(start);
  await vault.put({ systemId, timeline, startLsn, ...(micros === 0 ? {} : { lastCommitMicros: micros }) }, bytes);
  const found = (await vault.list({ systemId, timeline, fromLsn: startLsn })).find(isWhole);
  if (!found) throw new Vanished();
  return found;
}
