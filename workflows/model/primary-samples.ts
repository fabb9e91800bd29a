import type { Sample } from './failover-loss.ts';
import type { Lsn } from './lsn.ts';
import { compareLsn, lsnDistanceBytes } from './lsn.ts';

/** Where a primary was at one moment. */
export interface PrimarySample {
  /** Read from the database's clock before the position: what was acknowledged by then is below it. ISO 8601 UTC. */
  at: string;
  /** What it had flushed. */
  lsn: Lsn;
  /** Transactions that had taken a number by then, decimal (manual, pg_snapshot_xmax). */
  xid: string;
}

/** The newest samples of one primary, as they stand in the vault; docs/format.md "Samples". */
export interface SampleRing {
  format: 'lifeboat-samples/1';
  service: string;
  node: string;
  systemId: string;
  timeline: number;
  /** Oldest first. */
  samples: PrimarySample[];
}

/** A minute of them says at what pace a primary writes. */
export const MOST_SAMPLES = 60;

type Primary = Omit<SampleRing, 'format' | 'samples'>;

/** The ring with one more sample; those of another server, or of another timeline, say nothing of this one. */
export function addSample(ring: SampleRing | undefined, primary: Primary, sample: PrimarySample): SampleRing {
  const goesOn =
    ring?.service === primary.service &&
    ring.node === primary.node &&
    ring.systemId === primary.systemId &&
    ring.timeline === primary.timeline;
  const before = goesOn ? ring.samples.filter(({ at }) => Date.parse(at) < Date.parse(sample.at)) : [];
  return { format: 'lifeboat-samples/1', ...primary, samples: [...before, sample].slice(-MOST_SAMPLES) };
}

/** What a ring says of where its primary was; undefined for another cluster, or when it is empty. */
export function newestOf(ring: SampleRing, systemId: string): Sample | undefined {
  const { samples, timeline } = ring;
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || ring.systemId !== systemId) return undefined;
  const bytes = lsnDistanceBytes(first.lsn, last.lsn);
  const transactions = Number(BigInt(last.xid) - BigInt(first.xid));
  return {
    ...{ at: last.at, timeline, lsn: last.lsn, bytesPerSecond: fastestOf(samples), beats: true as const },
    ...(bytes > 0 && transactions > 0 ? { bytesPerTransaction: bytes / transactions } : {}),
  };
}

/** Two that are closer to each other than this tell chance, and no pace. */
const SHORTEST_MS = 200;

/** WAL a second in the fastest stretch between two samples: what comes behind the newest one may be as fast. */
function fastestOf(samples: readonly PrimarySample[]): number {
  let most = 0;
  for (const [index, { at, lsn }] of samples.entries()) {
    const before = samples[index - 1];
    if (!before) continue;
    const ms = Date.parse(at) - Date.parse(before.at);
    if (ms >= SHORTEST_MS) most = Math.max(most, (lsnDistanceBytes(before.lsn, lsn) / ms) * 1000);
  }
  return Math.ceil(most);
}

/** One whose newest sample is so much older than what else is known has stopped, and its heartbeats with it. */
const STOPPED_MS = 10_000;

/**
 * What two witnesses say together. Both mean "it was here, then or later": of one timeline the higher position and the later moment hold
 * together, for a position that one had not seen yet at its moment was reached behind it.
 */
export function together(one: Sample | undefined, other: Sample | undefined): Sample | undefined {
  if (!one || !other) return one ?? other;
  if (one.timeline !== other.timeline) return one.timeline > other.timeline ? one : other;
  const [lower, higher] = compareLsn(one.lsn, other.lsn) > 0 ? [other, one] : [one, other];
  const later = Date.parse(lower.at) > Date.parse(higher.at) ? lower : higher;
  const beats = [one, other].some((each) => each.beats && Date.parse(later.at) - Date.parse(each.at) <= STOPPED_MS);
  const bytesPerTransaction = one.bytesPerTransaction ?? other.bytesPerTransaction;
  return {
    ...{ at: later.at, timeline: one.timeline, lsn: higher.lsn },
    bytesPerSecond: Math.max(one.bytesPerSecond, other.bytesPerSecond),
    ...(bytesPerTransaction === undefined ? {} : { bytesPerTransaction }),
    ...(beats ? { beats } : {}),
  };
}
