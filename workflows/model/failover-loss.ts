import type { WalTail } from './cluster.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn, lsnDistanceBytes } from './lsn.ts';
import { formatBytes, formatDuration } from './units.ts';
import type { WalObject } from './wal.ts';
import { isoMicros } from './wal-coverage.ts';

/** Where a primary was, as it was written down away from it. */
export interface Sample {
  /** Of its newest commit, by its own clock. */
  at: string;
  timeline: number;
  lsn: Lsn;
  /** WAL a second, from the samples before it. */
  bytesPerSecond: number;
  /** WAL of one transaction that writes, on the average. */
  bytesPerTransaction?: number;
  /** Its writer wrote a heartbeat with each: the newest one that a standby has says how far that was behind. */
  beats?: true;
}

/** What a promotion would lose, as well as it can be known beforehand. */
export type Loss =
  | { known: false; why: string }
  | {
      known: true;
      /** Between the sample and the frozen candidate. */
      bytes: number;
      /** With what may have been written since the sample. */
      mostBytes: number;
      /** From the last moment that the candidate is known to have, to the last at which the primary may have written. */
      mostMs: number;
      /** Estimated by the WAL of one; absent when nobody knows it. */
      transactions?: { known: number; most: number };
      sample: Sample;
    };

/** So many pieces say at what pace a primary writes. */
const PACE_OBJECTS = 32;

/** Where the primary of a timeline was by the WAL that the vault has of it; undefined when it has none with a commit in it. */
export function sampleOf(objects: readonly WalObject[], timeline: number): Sample | undefined {
  const own = objects.filter((object) => object.timeline === timeline);
  const newest = own.toSorted((a, b) => compareLsn(a.endLsn, b.endLsn)).slice(-PACE_OBJECTS);
  const commits = newest.flatMap(({ lastCommitMicros }) => lastCommitMicros ?? []);
  const [first, last] = [newest[0], newest.at(-1)];
  if (!first || !last || commits.length === 0) return undefined;
  const seconds = (Math.max(...commits) - Math.min(...commits)) / 1e6;
  const bytes = lsnDistanceBytes(first.endLsn, last.endLsn);
  return {
    ...{ at: isoMicros(Math.max(...commits)), timeline, lsn: last.endLsn },
    bytesPerSecond: seconds > 0 ? Math.ceil(bytes / seconds) : 0,
  };
}

export interface LossQuestion {
  sample: Sample | undefined;
  /** Of the candidate, which takes nothing more. */
  frozenLsn: Lsn;
  timeline: number;
  /** When the primary was last known to write, or now. */
  untilMs: number;
  /** Of the newest heartbeat that the candidate has: all that was acknowledged by then, it has. */
  heartbeatAt?: string | undefined;
}

/** Bytes are exact up to the sample; behind it stands what its pace says. */
export function lossOf({ sample, frozenLsn, timeline, untilMs: givenMs, heartbeatAt }: LossQuestion): Loss {
  if (!sample) return { known: false, why: 'nobody has written down where the primary was' };
  if (sample.timeline !== timeline)
    return { known: false, why: `the last sample is of timeline ${sample.timeline}, the candidate is on ${timeline}` };
  const bytes = Math.max(0, lsnDistanceBytes(frozenLsn, sample.lsn));
  // It wrote when the sample was taken, whatever somebody says of when it was seen last.
  const untilMs = Math.max(givenMs, Date.parse(sample.at));
  const ageMs = untilMs - Date.parse(sample.at);
  const since = Math.ceil((ageMs / 1000) * sample.bytesPerSecond);
  const behindMs = bytes === 0 ? 0 : paceMs(bytes, sample.bytesPerSecond);
  const heartMs =
    heartbeatAt === undefined || !sample.beats ? undefined : Math.max(0, untilMs - Date.parse(heartbeatAt));
  // It has all that the sample saw, or it lacks some of it: then a heartbeat tells how long ago that was, and no pace has to.
  const mostMs = bytes === 0 || heartMs === undefined ? ageMs + behindMs : heartMs;
  const mostBytes = bytes + since;
  return { known: true, bytes, mostBytes, mostMs, ...transactionsOf(sample, { bytes, mostBytes }), sample };
}

function transactionsOf(
  { bytesPerTransaction }: Sample,
  { bytes, mostBytes }: { bytes: number; mostBytes: number },
): { transactions?: { known: number; most: number } } {
  if (bytesPerTransaction === undefined) return {};
  const count = (wal: number): number => Math.ceil(wal / bytesPerTransaction);
  return { transactions: { known: count(bytes), most: count(mostBytes) } };
}

/** How long it took to write so much; a second when nothing says more, for samples are taken each second. */
function paceMs(bytes: number, bytesPerSecond: number): number {
  return bytesPerSecond > 0 ? Math.ceil((bytes / bytesPerSecond) * 1000) : 1000;
}

export function describeTail({ commits, bytes, fromLsn, endLsn }: WalTail): string {
  return `${commits} commits in ${formatBytes(bytes)}, ${fromLsn} to ${endLsn}`;
}

export function describeLoss(loss: Loss): string {
  if (!loss.known) return `unknown: ${loss.why}`;
  const { bytes, mostBytes, mostMs, transactions, sample } = loss;
  const count = transactions ? ` (about ${transactions.known} to ${transactions.most} transactions)` : '';
  return `${formatBytes(bytes)} known, at most ${formatBytes(mostBytes)} and ${formatDuration(mostMs)}${count}, by the sample of ${sample.at}`;
}
