import { formatBytes } from '../workflows/model/units.ts';
import { walChecks } from '../workflows/model/verify-result.ts';
import type { WalVerified } from '../workflows/model/wal-verify.ts';

/** What reading the stored WAL of a source found, when nothing is wrong: holes may be there, with a base behind each. */
export function walLines(wal: WalVerified): string[] {
  const { source, objects, storedBytes, walBytes, records, timelines } = wal;
  const on = timelines === 1 ? 'one timeline' : `${timelines} timelines`;
  const holes = walChecks(wal).filter(({ name }) => name.startsWith('hole '));
  return [
    `WAL of ${source} is whole: ${objects} objects (${formatBytes(storedBytes)}) with ${formatBytes(walBytes)} of WAL ` +
      `on ${on}, ${records} records read and followed`,
    ...holes.map(({ name, found }) => `${name}: ${found}`),
  ];
}
