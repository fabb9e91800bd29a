import { compareLsn, formatLsn, lsnDistanceBytes, parseLsn } from '../../../../workflows/model/lsn.ts';
import { findFailure } from '../../../../workflows/model/failure.ts';
import type { Resume } from './resume.ts';
import type { Shipment } from './shipment.ts';

/** A page says where the first record in it begins; what is told of itself in marks does not reach over more than two. */
export const PAGE_BYTES = 8192;

/** Stored WAL in front of where a stream begins. */
export interface Before {
  start: bigint;
  bytes: Buffer;
}

/**
 * The last page in front of where a stream begins, as far as the vault has it: a record that begins there ends in what
 * comes, and is told then. Without it that record is passed over; a stream does not wait for an object that cannot be read.
 */
export async function storedBefore(
  { vault, resume, run }: Pick<Shipment, 'vault' | 'run'> & { resume: Pick<Resume, 'timeline' | 'startLsn'> },
  systemId: string,
): Promise<Before[]> {
  const { timeline, startLsn } = resume;
  const from = parseLsn(startLsn) - BigInt(PAGE_BYTES);
  if (from <= 0n) return [];
  const found: Before[] = [];
  try {
    for (const object of await vault.list({ systemId, timeline, fromLsn: formatLsn(from) })) {
      if (compareLsn(object.startLsn, startLsn) >= 0) break;
      const bytes = await vault.read(object);
      const skipped = Math.max(0, lsnDistanceBytes(object.startLsn, formatLsn(from)));
      const end = Math.min(bytes.length, lsnDistanceBytes(object.startLsn, startLsn));
      found.push({ start: parseLsn(object.startLsn) + BigInt(skipped), bytes: bytes.subarray(skipped, end) });
    }
  } catch (error) {
    run.signal.throwIfAborted();
    run.log.warn('WAL in front of the stream could not be read', {
      error: findFailure(error)?.message ?? String(error),
    });
  }
  return found;
}
