import type { Sample } from '../figures.ts';

/** One run of one thing, with what of it can be told. */
export interface Work extends Sample {
  /** What came to the store with it. */
  storedBytes?: number;
  /** What the tool read, of files and connections. */
  readBytes?: number;
  walBytes?: number;
}

/** Why there are no figures: it has no such thing, or something went wrong. */
export interface Unable {
  reason: string;
}

export type Able<Do> = Do | Unable;

/** One run may tell of several things, each by the name of its line. */
export type Works = Record<string, Work>;

/** From nothing to files on the disk, and further to a server that takes sessions and writes. */
export interface Restored {
  files: Work;
  opened: Work;
}

/** A stream or archive of WAL at work. */
export interface Shipping {
  /** SQL of one text: what the server was last told to be durable elsewhere; and the position that means. */
  durable: { sql: string; endOf(text: string): bigint | undefined };
  /** A segment counts as a whole: the last one has to be ended. */
  wholeSegments: boolean;
  end(): Promise<Pick<Work, 'cpuSeconds' | 'serverCpuSeconds' | 'peakRssBytes'>>;
}

/** Positions in the WAL; the first is where a segment begins. */
export interface WalSpan {
  fromLsn: string;
  toLsn: string;
}

/** Who is measured. All work goes to its own store, which only grows. */
export interface Contestant {
  readonly name: string;
  /** With version. */
  readonly program: string;
  /** For the page: its commands and settings. */
  readonly settings: readonly string[];
  /** Ours; everything else is a rival. */
  readonly ours: boolean;
  full: Able<() => Promise<Work>>;
  /** Since the newest backup, of whatever kind. */
  incremental: Able<() => Promise<Work>>;
  /** The newest backup into a folder that is not there. */
  restore: Able<(into: string) => Promise<Restored>>;
  /** The newest backup over a folder that holds most of it: restores it there, has it spoilt, and then what is measured. */
  delta: Able<(into: string, spoil: () => Promise<void>) => Promise<Work>>;
  /** All WAL since the newest backup. */
  replay: Able<(into: string) => Promise<Work>>;
  ship: Able<() => Promise<Shipping>>;
  /** Everything it has stored. */
  verify: Able<() => Promise<Work>>;
  /** A backup of files that a sender makes up, of one relation or of so many files; and what it was after a quarter. */
  simulated: Able<(bytes: number, files?: number) => Promise<{ quarter: Work; all: Work }>>;
  /** Not measured: has this WAL durable when it returns. */
  keepWal(span: WalSpan): Promise<void>;
}

/** Named, but not here. */
export interface Absent {
  name: string;
  reason: string;
}

export function unable(reason: string): Unable {
  return { reason };
}

export function isAble<Do extends object>(able: Able<Do>): able is Do {
  return typeof able === 'function';
}
