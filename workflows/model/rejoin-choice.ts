import { failure } from './failure.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn, formatLsn, parseLsn } from './lsn.ts';
import type { OldNode, PageDigests, RejoinChoice, WalTrace } from './rejoin.ts';
import type { TimelineSwitch } from './wal.ts';

const PAGE_BYTES = 8192n;

/** A timeline and how a server came to it. */
export type Line = Pick<WalTrace, 'timeline' | 'ancestors'>;

/**
 * Where two histories part: the last timeline that both were on, and its position at which the first of them left it. No fork:
 * both are on one timeline. Undefined: they have nothing in common (src/bin/pg_rewind, findCommonAncestorTimeline).
 */
export function forkOf(one: Line, other: Line): { timeline: number; forkLsn?: Lsn } | undefined {
  const [a, b] = [stretchesOf(one), stretchesOf(other)];
  let last: { timeline: number; forkLsn?: Lsn } | undefined;
  for (const [index, stretch] of a.entries()) {
    const same = b[index];
    if (!same || same.timeline !== stretch.timeline || same.from !== stretch.from) break;
    const ends = [stretch.to, same.to].flatMap((end) => end ?? []).toSorted(compareLsn);
    last = { timeline: stretch.timeline, ...(ends[0] === undefined ? {} : { forkLsn: ends[0] }) };
  }
  return last;
}

/** A part of a history on one timeline. */
export interface Stretch {
  timeline: number;
  from: Lsn;
  /** Absent: it goes on. */
  to?: Lsn;
}

/** Oldest first. */
export function stretchesOf({ timeline, ancestors }: Line): Stretch[] {
  const stretches: Stretch[] = [];
  let from: Lsn = '0/0';
  for (const step of ancestors) {
    stretches.push({ timeline: step.timeline, from, to: normal(step.switchLsn) });
    from = normal(step.switchLsn);
  }
  return [...stretches, { timeline, from }];
}

function normal(lsn: Lsn): Lsn {
  return formatLsn(parseLsn(lsn));
}

/** The newest WAL that both must have alike, if the old server is one of the primary's cluster; undefined: there is none. */
export function sharedEnd(old: Pick<OldNode, 'endLsn' | 'timeline' | 'ancestors'>, now: WalTrace): Lsn | undefined {
  const { endLsn, timeline, ancestors } = old;
  if (endLsn === undefined || !ancestors) return undefined;
  const fork = forkOf({ timeline, ancestors }, now);
  if (!fork) return undefined;
  const bounds = [endLsn, fork.forkLsn ?? now.lsn];
  return bounds.toSorted(compareLsn)[0];
}

/** other: `fromLsn` is where they begin to differ, or before. */
export type SameContent = { is: 'same' } | { is: 'other'; fromLsn: Lsn } | { is: 'unknown' };

export function compareContent(one: PageDigests | undefined, other: PageDigests | undefined): SameContent {
  if (!one || !other || one.fromLsn !== other.fromLsn || one.toLsn !== other.toLsn) return { is: 'unknown' };
  const at = one.pages.findIndex((page, index) => page !== other.pages[index]);
  if (at < 0) return { is: 'same' };
  return { is: 'other', fromLsn: formatLsn(parseLsn(one.fromLsn) + BigInt(at) * PAGE_BYTES) };
}

/**
 * How an old primary comes back, by its files and by where the primary is. Numbers of timelines prove nothing: two servers may
 * have gone on under one number, so what was written counts. Precondition when it is a server of another cluster.
 */
export function chooseRejoin(old: OldNode, now: WalTrace): RejoinChoice {
  refuseOtherCluster(old, now);
  const seen = seenOf(old, now);
  const { forkLsn, beyond } = seen;
  const discards = {
    ...(forkLsn === undefined ? {} : { forkLsn }),
    ...(beyond === undefined ? {} : { salvageFromLsn: beyond }),
    ...(beyond === undefined && !seen.isKnown ? { untold: true as const } : {}),
  };
  const unfit = brokenBy(old, now) ?? unknownBy(old, seen);
  if (unfit !== undefined) return { path: 'reseed', why: unfit, ...discards };
  if (beyond === undefined)
    return { path: 'follow', why: `it ends at ${old.endLsn}, which the primary has`, ...discards };
  const why = notRewindable(old, now, { forkLsn, beyond });
  if (why !== undefined) return { path: 'reseed', why, ...discards };
  return {
    path: 'rewind',
    why: `it went on from ${beyond} to ${old.endLsn} when the primary had left it`,
    ...discards,
  };
}

interface Seen {
  fork: ReturnType<typeof forkOf>;
  content: SameContent;
  /** Undefined also where what they wrote before it differs. */
  forkLsn: Lsn | undefined;
  /** From where on it has what the primary has not. */
  beyond: Lsn | undefined;
  /** Its WAL says what it has. */
  isKnown: boolean;
}

function seenOf(old: OldNode, now: WalTrace): Seen {
  const { endLsn, timeline, ancestors, walFromLsn } = old;
  const fork = ancestors && forkOf({ timeline, ancestors }, now);
  const content = compareContent(old.digests, now.digests);
  const forkLsn = content.is === 'other' ? undefined : fork?.forkLsn;
  const isKnown = fork !== undefined && content.is !== 'unknown' && endLsn !== undefined;
  const beyond = isKnown ? beyondOf({ content, forkLsn, old: { ...old, endLsn }, now }) : walFromLsn;
  return { fork, content, forkLsn, beyond, isKnown };
}

/** What keeps it from being known what it has. */
function unknownBy(old: OldNode, { fork, content, forkLsn }: Seen): string | undefined {
  const { timeline, endLsn, digests } = old;
  if (!fork) return `it is on timeline ${timeline}, whose history has nothing in common with that of the primary`;
  if (endLsn === undefined) return 'its WAL cannot be followed to its end';
  if (content.is === 'unknown')
    return digests ? 'the primary has no WAL of where they parted any more' : lacksWal(forkLsn);
  if (content.is === 'same') return undefined;
  return `what it wrote from ${content.fromLsn} on is not what the primary has there, under one number of a timeline`;
}

/** Why pg_rewind would not do; it takes one number of a timeline for one history. */
function notRewindable(
  { rewindable, walFromLsn, endLsn, timeline }: OldNode,
  now: WalTrace,
  { forkLsn, beyond }: { forkLsn: Lsn | undefined; beyond: Lsn },
): string | undefined {
  if (forkLsn === undefined) return `it ends at ${endLsn}, ahead of the primary on the same timeline`;
  if (timeline === now.timeline) return `both went on as timeline ${timeline}, from different positions`;
  if (!rewindable) return 'it has neither data checksums nor wal_log_hints, or no full_page_writes';
  return walFromLsn === undefined || compareLsn(walFromLsn, beyond) > 0 ? lacksWal(beyond) : undefined;
}

function refuseOtherCluster({ systemId }: OldNode, now: WalTrace): void {
  if (systemId === now.systemId) return;
  throw failure('Precondition', 'it is a server of another cluster than the primary', {
    place: 'system identifier',
    expected: now.systemId,
    found: systemId,
    hint: 'nothing was touched: correct dataDir of the node in lifeboat.yml',
  });
}

function lacksWal(forkLsn: Lsn | undefined): string {
  return `it has no WAL of ${forkLsn ?? 'its end'}, where they parted, any more`;
}

/** What only a new copy mends. */
function brokenBy({ interrupted, major }: OldNode, now: WalTrace): string | undefined {
  if (interrupted) return 'a rewind of it was begun and did not come to its end';
  if (major !== now.major) return `it is of PostgreSQL ${major}, and the primary of ${now.major}`;
  return undefined;
}

interface Known {
  content: SameContent;
  forkLsn: Lsn | undefined;
  old: OldNode & { endLsn: Lsn };
  now: WalTrace;
}

/** From where on it has what the primary has not; what differs from the first page on may do so for longer. */
function beyondOf({ content, forkLsn, old, now }: Known): Lsn | undefined {
  const { endLsn, digests, walFromLsn } = old;
  if (content.is === 'other') return content.fromLsn === digests?.fromLsn ? walFromLsn : content.fromLsn;
  const limit = forkLsn ?? now.lsn;
  return compareLsn(endLsn, limit) > 0 ? limit : undefined;
}

/** History up to and with a timeline of it; undefined when it was never on it. */
export function lineUpTo(now: Line, timeline: number): TimelineSwitch[] | undefined {
  if (timeline === now.timeline) return now.ancestors;
  const at = now.ancestors.findIndex((step) => step.timeline === timeline);
  return at < 0 ? undefined : now.ancestors.slice(0, at);
}
