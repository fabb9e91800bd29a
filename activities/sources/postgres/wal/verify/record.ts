import { crc32c } from '../../../../io/crc32c.ts';
import { RECORD_HEADER, RM_XLOG, XLOG_SWITCH } from '../marks.ts';
import type { Wrong } from './page.ts';

/** Where the checksum stands in the header: src/include/access/xlogrecord.h. */
const CRC_AT = 20;
const PREVIOUS_AT = 8;
/** XLogRecordMaxSize of 16 and newer is 1020 MiB; 15 has no other limit than an allocation's. */
const LONGEST_BYTES = 2 ** 30;
/** Longer ones are worth a call out of JavaScript. */
const SHORT_BYTES = 96;

/** What is known of a record before all of it came; plain data. */
export interface Piece {
  /** Its first bytes, at most a header's. */
  first: Buffer;
  /** Bytes of it that came. */
  bytes: number;
  /** CRC-32C of those behind its header; of what goes on from before, of all. */
  crc: number;
}

/** A record that has begun. */
export interface OpenRecord extends Piece {
  start: number;
  total: number;
}

export interface RecordHead {
  total: number;
  previous: number;
  isSwitch: boolean;
}

/** `at` is where a whole header stands. */
export function readRecordHead(bytes: Buffer, at: number): RecordHead {
  const kind = (bytes[at + 16] as number) & 0xf0;
  return {
    total: bytes.readUInt32LE(at),
    previous: bytes.readUInt32LE(at + PREVIOUS_AT) + bytes.readUInt32LE(at + PREVIOUS_AT + 4) * 2 ** 32,
    isSwitch: bytes[at + 17] === RM_XLOG && kind === XLOG_SWITCH,
  };
}

export function isLength(total: number): boolean {
  return total >= RECORD_HEADER && total <= LONGEST_BYTES;
}

/** The sum is over what is behind the header, then over the header up to the sum (xloginsert.c). */
export function wrongSum(header: Buffer, at: number, bodyCrc: number): Wrong | undefined {
  const stated = header.readUInt32LE(at + CRC_AT);
  const found = shortCrc(header, { from: at, to: at + CRC_AT }, bodyCrc);
  if (stated === found) return undefined;
  return {
    what: 'record checksum',
    expected: `CRC-32C ${stated.toString(16)}`,
    found: `CRC-32C ${found.toString(16)}`,
  };
}

/** CRC-32C of a span that continues `seed`, whichever way is faster. */
export function crcOf(bytes: Buffer, span: { from: number; to: number }, seed: number): number {
  return span.to - span.from <= SHORT_BYTES
    ? shortCrc(bytes, span, seed)
    : crc32c(bytes.subarray(span.from, span.to), seed);
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function shortCrc(bytes: Buffer, { from, to }: { from: number; to: number }, seed: number): number {
  let crc = ~seed;
  for (let at = from; at < to; at++) crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
