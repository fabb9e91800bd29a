import { compareLsn, lsnDistanceBytes } from '../../../../workflows/model/lsn.ts';
import { leftAt } from '../../../../workflows/model/timeline.ts';
import type { TimelineHistory, WalObject } from '../../../../workflows/model/wal.ts';
import type { WalVault } from '../../source.ts';

/**
 * The vault as it is for a server that goes where this history went: without what was written on its ancestors after they
 * were left. A segment that was left in its middle is replayed to its end by a server that is given it so.
 */
export function onHistory(wal: WalVault, history: TimelineHistory): WalVault {
  const whole = new WeakMap<WalObject, WalObject>();
  const upToFork = (object: WalObject): WalObject[] => {
    const left = leftAt(history, object.timeline);
    if (left === undefined || compareLsn(object.endLsn, left) <= 0) return [object];
    if (compareLsn(object.startLsn, left) >= 0) return [];
    const cut = { ...object, endLsn: left };
    whole.set(cut, object);
    return [cut];
  };
  return {
    ...wal,
    list: async (query) => (await wal.list(query)).flatMap(upToFork),
    read: async (object) => {
      const bytes = await wal.read(whole.get(object) ?? object);
      return bytes.subarray(0, lsnDistanceBytes(object.startLsn, object.endLsn));
    },
  };
}
