import { parseSegmentName } from '../../../../../workflows/model/lsn.ts';

/** What the archiver hands over, told by its name alone (xlog_internal.h: IsXLogFileName and its neighbours). */
export type ArchivedFile =
  | { kind: 'segment'; name: string; timeline: number; start: bigint }
  | { kind: 'history'; name: string; timeline: number }
  /** A backup's history or the unfinished last segment of a timeline that was left: kept under its name, never replayed by itself. */
  | { kind: 'other'; name: string; timeline: number };

const OTHER = /^[0-9A-F]{24}(?:\.[0-9A-F]{8}\.backup|\.partial)$/;
const HISTORY = /^[0-9A-F]{8}\.history$/;

/** Undefined for any other name: nothing that only looks like WAL is taken. */
export function parseFileName(name: string, segmentBytes: number): ArchivedFile | undefined {
  const segment = parseSegmentName(name, segmentBytes);
  if (segment) return segment.timeline > 0 ? { kind: 'segment', name, ...segment } : undefined;
  const timeline = Number.parseInt(name.slice(0, 8), 16);
  if (OTHER.test(name)) return { kind: 'other', name, timeline };
  return HISTORY.test(name) && timeline > 1 ? { kind: 'history', name, timeline } : undefined;
}
