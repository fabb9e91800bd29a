import { failure } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn } from './lsn.ts';
import type { TimelineHistory, TimelineSwitch } from './wal.ts';

/** Reads a timeline history file: "parent<tab>switch lsn<tab>reason" a line (src/backend/access/transam/timeline.c). */
export function parseHistory(timeline: number, text: string): TimelineHistory {
  const ancestors: TimelineSwitch[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)\s*(.*)$/.exec(line);
    if (!match) throw failure('Integrity', `history of timeline ${timeline} has a line that is none`, { found: line });
    ancestors.push({ timeline: Number(match[1]), switchLsn: match[2] as Lsn, reason: match[3] ?? '' });
  }
  return { timeline, ancestors };
}

export function historyFileName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
}

/** The timeline that held `lsn` on the way to `history.timeline`. A switch point itself belongs to the newer one. */
export function timelineAt(history: TimelineHistory, lsn: Lsn): number {
  return history.ancestors.find((step) => compareLsn(lsn, step.switchLsn) < 0)?.timeline ?? history.timeline;
}

/** Where `ancestor` was left on the way to `history.timeline`; undefined when it is not an ancestor. */
export function leftAt(history: TimelineHistory, ancestor: number): Lsn | undefined {
  return history.ancestors.find((step) => step.timeline === ancestor)?.switchLsn;
}

/** True when a position on `timeline` is part of the history: the timeline itself, or an ancestor before it was left. */
export function isOnHistory(history: TimelineHistory, timeline: number, lsn: Lsn): boolean {
  if (timeline === history.timeline) return true;
  const left = leftAt(history, timeline);
  return left !== undefined && compareLsn(lsn, left) <= 0;
}

/** The history of a timeline; timeline 1 has no file and no ancestors. */
export function historyOf(histories: TimelineHistory[], timeline: number): TimelineHistory | undefined {
  const found = histories.find((history) => history.timeline === timeline);
  return found ?? (timeline === 1 ? { timeline: 1, ancestors: [] } : undefined);
}
