import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, lsnDistanceBytes } from '../../../../workflows/model/lsn.ts';
import { historyOf, timelineAt } from '../../../../workflows/model/timeline.ts';
import type { TimelineHistory, WalObject, WalRange } from '../../../../workflows/model/wal.ts';
import { rangesOf } from '../../../../workflows/model/wal-coverage.ts';

export interface Held {
  objects: WalObject[];
  histories: TimelineHistory[];
  /** Timeline that the recovery followed. */
  timeline: number;
  segmentBytes: number;
  /** End of the WAL that there was to replay when the plan was made; absent: all that is held now. */
  promisedLsn?: Lsn;
}

export interface Missing {
  timeline: number;
  from: Lsn;
  /** What there is behind it. */
  why: string;
}

/**
 * What replay should have gone on to after the record at `lsn`: WAL behind a hole, or more WAL in one piece than the
 * unused end of a segment and a record that is cut account for. Undefined when the vault holds nothing more.
 */
export function missingAfter(held: Held, lsn: Lsn): Missing | undefined {
  const history = historyOf(held.histories, held.timeline);
  if (!history) return undefined;
  const path = [...history.ancestors.map(({ timeline, switchLsn }) => ({ timeline, until: switchLsn })), held];
  const ranges = rangesOf(held.objects);
  const first = path.findIndex(({ timeline }) => timeline === timelineAt(history, lsn));
  let known = lsn;
  for (const leg of path.slice(first)) {
    const until = 'until' in leg ? leg.until : undefined;
    const own = ranges.filter((range) => range.timeline === leg.timeline && !begins(range, until));
    const end = own.find((range) => holds(range, known))?.endLsn ?? known;
    const later = own.find((range) => compareLsn(range.startLsn, end) > 0);
    if (later && (until !== undefined || isDue(held, end)))
      return { timeline: leg.timeline, from: end, why: `next WAL at ${later.startLsn}` };
    if (until === undefined) return unread(held, { lsn, known, end });
    if (compareLsn(end, until) < 0) return { timeline: leg.timeline, from: end, why: `WAL only to ${end} of ${until}` };
    known = until;
  }
  return undefined;
}

/** What came after the plan was made is not missing: the source goes on while it is restored. */
function isDue({ promisedLsn }: Held, from: Lsn): boolean {
  return promisedLsn === undefined || compareLsn(from, promisedLsn) <= 0;
}

/** True for what the timeline holds only behind the point where it was left. */
function begins(range: WalRange, until: Lsn | undefined): boolean {
  return until !== undefined && compareLsn(range.startLsn, until) >= 0;
}

function holds(range: WalRange, lsn: Lsn): boolean {
  return compareLsn(range.startLsn, lsn) <= 0 && compareLsn(range.endLsn, lsn) >= 0;
}

function unread(held: Held, at: { lsn: Lsn; known: Lsn; end: Lsn }): Missing | undefined {
  const due = isDue(held, at.end) ? at.end : (held.promisedLsn ?? at.end);
  if (lsnDistanceBytes(at.lsn, due) <= 2 * held.segmentBytes) return undefined;
  return { timeline: held.timeline, from: at.lsn, why: `WAL to ${at.end} that the server did not accept` };
}
