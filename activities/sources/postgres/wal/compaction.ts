import { compareLsn } from '../../../../workflows/model/lsn.ts';
import type { WalObject } from '../../../../workflows/model/wal.ts';
import type { WalVault } from '../../source.ts';

/** WAL that is stored as one object. */
export type Whole = Pick<WalObject, 'systemId' | 'timeline' | 'startLsn' | 'endLsn'>;

/** Of some objects of its timeline those that it makes needless: others may have stored the same stretch as a whole, too. */
export function coveredBy(whole: Whole, objects: readonly WalObject[]): WalObject[] {
  return objects.filter((object) => {
    const inside = compareLsn(object.startLsn, whole.startLsn) >= 0 && compareLsn(object.endLsn, whole.endLsn) <= 0;
    return inside && !(object.startLsn === whole.startLsn && object.endLsn === whole.endLsn);
  });
}

/** Removes the pieces of what is durable as a whole. */
export async function removePieces(vault: WalVault, whole: Whole): Promise<void> {
  const { systemId, timeline, startLsn: fromLsn } = whole;
  for (const piece of coveredBy(whole, await vault.list({ systemId, timeline, fromLsn }))) await vault.remove(piece);
}
