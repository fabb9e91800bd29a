import type { Severity, Tells } from './severity.ts';

/** Somebody who wants to be told, as a run needs to know them. */
export interface NotifierFacts {
  name: string;
  /** What they are told, and how long it is kept back. */
  tells: Tells;
}

/** Who is told of a P1 that nobody has acknowledged so long after it was told first. */
export interface EscalationStep {
  to: string;
  afterMs: number;
}

/** What a run has to say to people. */
export interface Notice {
  severity: Severity;
  title: string;
  body: string;
  /** Say also what can be restored now. */
  windows?: true;
  /** Kept back it would come too late: it is told at once to those who want its severity. */
  urgent?: true;
  /** What was said under a key is not said again in the same run. */
  key?: string;
  /** One of several things that the run tells of, each a thread and an incident of its own; absent: the run itself. */
  about?: string;
  /** The good end of the run does not mend it: it is over when the next run of the same id ends well without it. */
  lasting?: true;
  /** What was told about it is over: this is the last word. */
  over?: true;
}

/** A message as it goes to one notifier or several. */
export interface Said {
  severity: Severity;
  title: string;
  body: string;
  windows?: true;
  /** For receivers that can tell a repeat. */
  key: string;
  group: string;
  state: 'open' | 'acknowledged' | 'over';
  /** ISO 8601 UTC. */
  at: string;
}

/** A message that is kept back. */
export interface Waiting {
  to: string;
  /** ISO 8601 UTC. */
  dueAt: string;
  said: Said;
  /** Only because nobody has acknowledged. */
  escalates?: true;
  /** Where it goes on, at that notifier. */
  thread?: string;
}

/** Something that people were told of, or will be, and that is not over. */
export interface OpenGroup {
  group: string;
  /** Of the message that opened it. */
  title: string;
  severity: Severity;
  /** The good end of the run leaves it open. */
  lasting?: true;
  /** Who was told, and the thread of it there. */
  told: { to: string; thread?: string }[];
  acknowledged?: { by: string; at: string };
}

/** What a run leaves behind for others to tell, and to end. */
export interface Carried {
  groups: OpenGroup[];
  waiting: Waiting[];
}

/** What somebody says to a run, or to what it left behind, who is at it now. */
export interface AckMessage {
  by: string;
}

/** What was acknowledged. */
export interface Acknowledged {
  by: string;
  at: string;
  titles: string[];
}

const LONGEST_NAME = 200;

/** Why an acknowledgement does not count; undefined when it does. */
export function ackProblem(open: readonly OpenGroup[], message: unknown): string | undefined {
  const by: unknown = (message as AckMessage | null | undefined)?.by;
  if (typeof by !== 'string' || by.trim() === '' || by.length > LONGEST_NAME)
    return 'it does not say who speaks: {"by":"anna"}';
  if (open.length === 0) return 'nothing waits to be acknowledged';
  if (open.every(({ acknowledged }) => acknowledged))
    return `${open[0]?.acknowledged?.by ?? ''} has acknowledged it already`;
  return undefined;
}

/** The parts of it that another version, or a person, may have left out. */
export function carriedOf(given: unknown): Carried {
  const { groups, waiting } = (given ?? {}) as Partial<Carried>;
  return { groups: Array.isArray(groups) ? groups : [], waiting: Array.isArray(waiting) ? waiting : [] };
}
