import { failure } from '../../../../workflows/model/failure.ts';
import type { Lsn } from '../../../../workflows/model/lsn.ts';
import { compareLsn, formatLsn, parseLsn, segmentStart } from '../../../../workflows/model/lsn.ts';
import type { TimelineHistory, WalObject, WalRange } from '../../../../workflows/model/wal.ts';
import { historyOf, leftAt } from '../../../../workflows/model/timeline.ts';
import { rangesOf } from '../../../../workflows/model/wal-coverage.ts';

/** Where streaming begins. */
export interface Resume {
  timeline: number;
  /** Start of a chunk, so that whole objects can be made. */
  startLsn: Lsn;
  /** Everything before it is in the vault, from startLsn on in pieces. */
  durableLsn: Lsn;
  /** Objects inside the open chunk that are stored already: compared with what the server sends. */
  pieces: WalObject[];
}

export interface ResumeFacts {
  systemId: string;
  serverTimeline: number;
  /** Histories the server told, newest included. */
  histories: TimelineHistory[];
  stored: WalObject[];
  /**
   * What an old slot keeps WAL from, or `durableBefore` for a new one; absent while there is none. Everything before it was
   * durable. Behind it, uploads that overtook others may have left holes when their worker died.
   */
  keptLsn?: Lsn;
  chunkBytes: number;
  segmentBytes: number;
}

/**
 * Continues what the vault holds, from the first hole that the server can still fill; undefined when it holds nothing of
 * this cluster. Integrity on a divergent history.
 */
export function resumePoint(facts: ResumeFacts): Resume | undefined {
  const newest = newestRange(facts);
  if (!newest) return undefined;
  if (newest.timeline > facts.serverTimeline)
    throw divergent(facts, `timeline ${newest.timeline} up to ${newest.endLsn}`);
  if (newest.timeline === facts.serverTimeline) return at(facts, newest.timeline, firstMissing(facts, newest));
  const left = leftAt(historyFor(facts), newest.timeline);
  if (left === undefined) throw divergent(facts, `timeline ${newest.timeline}, which is no ancestor`);
  // What we hold beyond the switch was lost by the promotion: the next timeline begins in the segment of the switch.
  if (compareLsn(newest.endLsn, left) >= 0) return switchPoint(facts, newest.timeline, left);
  return at(facts, newest.timeline, newest.endLsn);
}

/**
 * What stands for `keptLsn` when the slot is a new one, which tells nothing of what was durable: uploads overtake each other
 * within a spool, so that before the newest spools nothing is missing that was not told. Undefined when nothing is stored.
 */
export function durableBefore(stored: WalObject[], spoolBytes: number): Lsn | undefined {
  const ranges = rangesOf(stored);
  const last = ranges.at(-1);
  if (!last) return undefined;
  const from = parseLsn(last.endLsn) - BigInt(2 * spoolBytes);
  return ranges.find((range) => range.timeline === last.timeline && parseLsn(range.endLsn) >= from)?.endLsn;
}

function newestRange({ stored, keptLsn }: ResumeFacts): WalRange | undefined {
  const ranges = rangesOf(stored);
  const last = ranges.at(-1);
  if (keptLsn === undefined) return last;
  return ranges.find((range) => range.timeline === last?.timeline && compareLsn(range.endLsn, keptLsn) >= 0) ?? last;
}

/** The end of the range, unless what the server keeps begins before it: then the very first upload was overtaken. */
function firstMissing({ keptLsn, chunkBytes }: ResumeFacts, { startLsn, endLsn }: WalRange): Lsn {
  const isOvertaken = keptLsn !== undefined && compareLsn(keptLsn, startLsn) < 0;
  return isOvertaken ? formatLsn(segmentStart(parseLsn(keptLsn), chunkBytes)) : endLsn;
}

function historyFor(facts: ResumeFacts): TimelineHistory {
  const history = historyOf(facts.histories, facts.serverTimeline);
  if (history) return history;
  throw failure('Bug', `history of timeline ${facts.serverTimeline} was not read`);
}

/** The timeline that follows `timeline` on the server's history begins where it was left. */
function switchPoint(facts: ResumeFacts, timeline: number, left: Lsn): Resume {
  const { ancestors } = historyFor(facts);
  const index = ancestors.findIndex((step) => step.timeline === timeline);
  const next = ancestors[index + 1]?.timeline ?? facts.serverTimeline;
  const startLsn = formatLsn(segmentStart(parseLsn(left), facts.segmentBytes));
  return { timeline: next, startLsn, durableLsn: startLsn, pieces: [] };
}

/** What begins in the midst of a chunk stands behind WAL that must not be kept, and which the server would send again. */
function at(facts: ResumeFacts, timeline: number, endLsn: Lsn): Resume {
  const whole = formatLsn(segmentStart(parseLsn(endLsn), facts.chunkBytes));
  const range = rangesOf(facts.stored).find((each) => each.timeline === timeline && each.endLsn === endLsn);
  const start = range && compareLsn(range.startLsn, whole) > 0 ? range.startLsn : whole;
  const pieces = facts.stored.filter((object) => object.timeline === timeline && compareLsn(object.endLsn, start) > 0);
  return { timeline, startLsn: start, durableLsn: endLsn, pieces };
}

function divergent(facts: ResumeFacts, held: string): Error {
  return failure('Integrity', `vault holds WAL that server ${facts.systemId} does not know`, {
    expected: `an ancestor of timeline ${facts.serverTimeline}`,
    found: held,
    hint: 'this server is older than the one that was backed up, or another promotion; do not ship it into the same source',
  });
}
