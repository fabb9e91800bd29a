import { isFailure } from '../workflows/model/failure.ts';
import { compareLsn } from '../workflows/model/lsn.ts';
import { rangeHolding, rangesOf } from '../workflows/model/wal-coverage.ts';
import { summarise } from '../workflows/model/manifest.ts';
import type { PointSummary } from '../workflows/model/manifest.ts';
import type { VerifyOrder } from '../workflows/model/orders.ts';
import type { Check } from '../workflows/model/recovery.ts';
import type { VerifyResult } from '../workflows/model/results.ts';
import type { Deps } from './deps.ts';
import { useSource } from './use-source.ts';
import type { Vault } from './vault/vault.ts';

/** A segment is compacted once; what is missing in three lists was lost. */
const LOOKS = 3;

/** Reads every part of a point and compares every byte with what was signed; reads the WAL it needs, which the cipher vouches for. */
export function verifyPoint(deps: Deps, { source, point }: VerifyOrder): Promise<VerifyResult> {
  return useSource(deps, source, async ({ vault, run }) => {
    const { manifest } = await vault.open(point);
    const summary = summarise(manifest);
    let doneBytes = 0;
    const counted = await vault.verify(point, (bytes) => {
      doneBytes += bytes;
      run.progress({ phase: 'verify', doneBytes, totalBytes: summary.bytes });
    });
    const parts = `${counted.parts} of ${summary.parts} parts`;
    return {
      point: summary,
      ...counted,
      checks: [
        { name: 'manifest signed by a trusted key', ok: true, expected: 'a signature', found: 'verified' },
        { name: 'every part is what was signed', ok: true, expected: `${summary.parts} parts`, found: parts },
        await walCheck(vault, summary),
      ],
    };
  });
}

/** The objects that make the point consistent, each read and compared. */
async function walCheck(vault: Vault, point: PointSummary, look = 1): Promise<Check> {
  const { systemId, timeline, startLsn, stopLsn } = point;
  const objects = (await vault.wal.list({ systemId, timeline, fromLsn: startLsn })).filter(
    (object) => compareLsn(object.startLsn, stopLsn) < 0,
  );
  try {
    for (const object of objects) await vault.wal.read(object);
  } catch (error) {
    // Pieces that were compacted since they were listed are gone; what replaced them is in a new list.
    if (!isFailure(error, 'NotFound') || look === LOOKS) throw error;
    return walCheck(vault, point, look + 1);
  }
  const held = rangeHolding(rangesOf(objects), timeline, { from: startLsn, to: stopLsn }) !== undefined;
  return {
    name: 'WAL that makes it consistent',
    ok: held,
    expected: `${startLsn} to ${stopLsn} on timeline ${timeline}`,
    found: held ? 'in the vault' : 'not in the vault',
  };
}
