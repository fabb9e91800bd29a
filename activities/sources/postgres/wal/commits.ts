import { formatLsn, parseLsn, segmentStart } from '../../../../workflows/model/lsn.ts';
import { isoOfMicros } from '../../../../workflows/model/target-parse.ts';
import type { Run } from '../../../io/run.ts';
import type { Commit } from '../../../../workflows/model/last-good.ts';
import type { CommitSearch, ReadableWal } from '../../source.ts';
import type { WalMark } from './marks.ts';
import { RecordWalker } from './records.ts';
import { StoredSegments } from './stored-segments.ts';
import { Touched } from './touched.ts';

/**
 * Every commit in the stored WAL of one timeline from a position on, in order, a batch for each segment, with what it changed
 * from the segment of that position on. It ends where the WAL ends, or at the first hole.
 */
export async function* commitsFrom(vault: ReadableWal, search: CommitSearch, run: Run): AsyncIterable<Commit[]> {
  const { systemId, timeline, segmentBytes } = search;
  const from = parseLsn(search.fromLsn);
  // A segment is read from its beginning, wherever in it the search begins.
  const fromLsn = formatLsn(segmentStart(from, segmentBytes));
  const [objects, histories] = await Promise.all([vault.list({ systemId, fromLsn }), vault.histories(systemId)]);
  const segments = new StoredSegments(vault, { systemId, segmentBytes, fromLsn, histories, objects });
  const to = search.toLsn === undefined ? undefined : parseLsn(search.toLsn);
  const isWanted = (lsn: bigint): boolean => lsn >= from && (to === undefined || lsn < to);
  let batch: Commit[] = [];
  const touched = new Touched();
  const walker = new RecordWalker(
    (mark) => {
      if (mark.kind !== 'end') return;
      const changed = touched.take([mark.xid, ...(mark.subxids ?? [])]);
      if (mark.committed && isWanted(mark.lsn)) batch.push({ ...commitOf(mark), ...changesOf(changed) });
    },
    (touch) => touched.add(touch),
  );
  for (let start = segmentStart(from, segmentBytes); ; start += BigInt(segmentBytes)) {
    run.signal.throwIfAborted();
    if (to !== undefined && start >= to) return;
    const bytes = await segments.read({ timeline, start });
    if (!bytes) return;
    walker.push(start, bytes);
    if (batch.length > 0) yield batch;
    batch = [];
    run.progress({ phase: 'list transactions', note: `at ${formatLsn(start)}` });
  }
}

function commitOf({ xid, lsn, micros }: Extract<WalMark, { kind: 'end' }>): Commit {
  return { xid: String(xid), lsn: formatLsn(lsn), ...(micros === undefined ? {} : { at: isoOfMicros(micros) }) };
}

function changesOf({ relations, more }: ReturnType<Touched['take']>): Pick<Commit, 'relations' | 'moreRecords'> {
  return { ...(relations.length > 0 ? { relations } : {}), ...(more > 0 ? { moreRecords: more } : {}) };
}
