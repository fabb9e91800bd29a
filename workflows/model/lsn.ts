import { failure } from './failure.ts';

/**
 * A WAL position as PostgreSQL prints it: two hexadecimal halves, "16/B374D848" (pg_lsn, manual chapter 8.20).
 * Strings cross boundaries; arithmetic is done on bigint.
 */
export type Lsn = string;

export function parseLsn(text: Lsn): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) {
    throw failure('ConfigInvalid', `lsn "${text}" is not a WAL position`, {
      expected: 'hex/hex, like 16/B374D848',
      found: text,
    });
  }
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(position: bigint): Lsn {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Negative, zero or positive, as a comparator. */
export function compareLsn(a: Lsn, b: Lsn): number {
  const difference = parseLsn(a) - parseLsn(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Bytes of WAL from `from` to `to`; negative when `to` is behind. */
export function lsnDistanceBytes(from: Lsn, to: Lsn): number {
  return Number(parseLsn(to) - parseLsn(from));
}

/** Fixed-width form that sorts as text: used in store keys. */
export function lsnKey(position: bigint): string {
  return position.toString(16).padStart(16, '0');
}

export function segmentStart(position: bigint, segmentBytes: number): bigint {
  return position - (position % BigInt(segmentBytes));
}

/** Bytes of the header of a page of WAL, and of the first one of a segment (src/include/access/xlog_internal.h). */
const PAGE_HEADER = { short: 24n, long: 40n };

/**
 * First byte behind a record of `length` bytes at `start`, as the server counts what it has written: headers of the pages that it
 * goes on in lie between, records begin at multiples of eight, and one that ends with its page ends there.
 */
export function recordEnd(
  start: bigint,
  length: number,
  { segmentBytes, pageBytes }: { segmentBytes: number; pageBytes: number },
): bigint {
  const [segment, page] = [BigInt(segmentBytes), BigInt(pageBytes)];
  let at = start;
  let left = BigInt(length);
  for (;;) {
    const room = page - (at % page);
    if (left <= room) return ((at + left + 7n) / 8n) * 8n;
    left -= room;
    at += room;
    at += at % segment === 0n ? PAGE_HEADER.long : PAGE_HEADER.short;
  }
}

/** Name of the WAL segment file that holds `position` (src/include/access/xlog_internal.h, XLogFileName). */
export function segmentName(timeline: number, position: bigint, segmentBytes: number): string {
  const segment = position / BigInt(segmentBytes);
  const perId = 0x100000000n / BigInt(segmentBytes);
  return [BigInt(timeline), segment / perId, segment % perId].map((n) => hex8(n)).join('');
}

/** The opposite of segmentName; undefined when the name is not that of a WAL segment. */
export function parseSegmentName(name: string, segmentBytes: number): { timeline: number; start: bigint } | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const [timeline, high, low] = [0, 8, 16].map((at) => BigInt(`0x${name.slice(at, at + 8)}`)) as [
    bigint,
    bigint,
    bigint,
  ];
  const perId = 0x100000000n / BigInt(segmentBytes);
  return { timeline: Number(timeline), start: (high * perId + low) * BigInt(segmentBytes) };
}

function hex8(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
