import { formatLsn, parseLsn } from '../../../workflows/model/lsn.ts';
import type { WalSpan } from './contestant.ts';

const SEGMENT_BYTES = 16n << 20n;
const PER_LOG = (1n << 32n) / SEGMENT_BYTES;
const TIMELINE = 1n;

/** Names of the whole segments of a span (PostgreSQL manual, "WAL internals"). */
export function segmentsOf({ fromLsn, toLsn }: WalSpan): string[] {
  const names: string[] = [];
  for (let at = parseLsn(fromLsn) / SEGMENT_BYTES; at < parseLsn(toLsn) / SEGMENT_BYTES; at++) {
    names.push([TIMELINE, at / PER_LOG, at % PER_LOG].map(hex).join(''));
  }
  return names;
}

/** First byte behind a segment; undefined for what is none, a history or backup label. */
export function segmentEnd(name: string): bigint | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const [log, segment] = [name.slice(8, 16), name.slice(16)].map((digits) => BigInt(`0x${digits}`));
  return ((log ?? 0n) * PER_LOG + (segment ?? 0n) + 1n) * SEGMENT_BYTES;
}

export function startOfSegment(lsn: string): string {
  return formatLsn((parseLsn(lsn) / SEGMENT_BYTES) * SEGMENT_BYTES);
}

function hex(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
