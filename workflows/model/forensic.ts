import type { Lsn } from './lsn.ts';

/** What pg_control says of a server that is down; pg_controldata shows the same. */
export interface ControlState {
  /** "shut down", "in production": of a server that was killed, what it did last. */
  state: string;
  /** It was shut down, so that all it had is in its files; otherwise its pg_wal is part of them. */
  clean: boolean;
  checkpointLsn: Lsn;
  redoLsn: Lsn;
  timeline: number;
  /** ISO 8601 UTC. */
  writtenAt: string;
}

/** What could not be read. */
export interface Unread {
  tree: string;
  path: string;
  /** Range of the file that is zeros in the copy, bytes; absent: it is not in the copy at all. */
  from?: number;
  bytes?: number;
  /** "EIO" */
  reason: string;
}

/** Of a copy of the files of a server that was down: what it was taken of, and how it was found. It is evidence, and no backup. */
export interface ForensicFacts {
  /** Data directory, on the host that copied it. */
  directory: string;
  control?: ControlState;
  /** Why pg_control says nothing. */
  controlWrong?: string;
  /** Ten thousand at most, of `unreadCount`; absent when all could be read. */
  unread?: Unread[];
  unreadCount?: number;
  /** Files beside those of the server (a log, say) that somebody changed during the copy; at most ten thousand, of `changedCount`. */
  changed?: { tree: string; path: string }[];
  changedCount?: number;
}

/** The same in a listing. */
export interface ForensicSummary {
  directory: string;
  /** In words. */
  state: string;
  clean: boolean;
  unread: number;
  /** The first few that could not be read. */
  first: string[];
}

const SHOWN = 5;

export function summariseForensic(facts: ForensicFacts): ForensicSummary {
  const { directory, control, unread = [], unreadCount = 0 } = facts;
  return {
    ...{ directory, state: `${stateText(facts)}${changedText(facts)}`, clean: control?.clean ?? false },
    ...{ unread: unreadCount, first: unread.slice(0, SHOWN).map(unreadText) },
  };
}

function stateText({ control, controlWrong = 'pg_control could not be read' }: ForensicFacts): string {
  if (!control) return controlWrong;
  const { state, clean, checkpointLsn, timeline } = control;
  const how = clean ? state : `not shut down (${state})`;
  return `${how}, last checkpoint at ${checkpointLsn} on timeline ${timeline}`;
}

function changedText({ changed = [], changedCount = 0 }: ForensicFacts): string {
  if (changedCount === 0) return '';
  const first = changed.slice(0, SHOWN).map(({ path }) => path);
  return `; changed while it was copied: ${changedCount} (${first.join(', ')})`;
}

function unreadText({ tree, path, from, bytes = 0, reason }: Unread): string {
  const place = tree === 'base' ? path : `pg_tblspc/${tree}/${path}`;
  return from === undefined ? `${place}: ${reason}` : `${place}, bytes ${from} to ${from + bytes}: ${reason}`;
}

/** From what the damaged state of a source can be kept. */
export type DamagedState =
  | { from: 'server' }
  /** It does not answer, and its files are on this host. */
  | { from: 'files'; host: string; directory: string; state: string };
