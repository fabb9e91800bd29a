import { crc32c } from '../../../io/crc32c.ts';

/** Layout of WAL pages and records: access/xlog_internal.h and xlogrecord.h; of what makes a tablespace: commands/tablespace.h. */
const PAGE_BYTES = 8192;
const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;
const XLP_FIRST_IS_CONTRECORD = 0x0001;
const MAGIC_FAMILY = 0xd1;
const RECORD_HEADER = 24;
const CRC_AT = 20;
const RM_TBLSPC = 5;
const XLOG_TBLSPC_CREATE = 0x00;
const OPERATION_MASK = 0xf0;
/** What stands before the main data: block id -> bytes of what follows it (XLR_BLOCK_ID_TOPLEVEL_XID, XLR_BLOCK_ID_ORIGIN). */
const BEFORE_DATA: Record<number, number> = { 252: 4, 253: 2 };
const DATA_SHORT = 255;
const DATA_LONG = 254;
const OID_BYTES = 4;
/** A path of MAXPGPATH and all that can stand around it. */
const LONGEST_RECORD = 1100;

/** A tablespace that a record makes. */
export interface MadeTablespace {
  oid: string;
  /** Where the source made it. */
  location: string;
}

/** A record in a segment, by the position of its first byte. */
interface Place {
  at: number;
  bytes: number;
}

/** Records of a segment that may make a tablespace; whether they do, their bytes say. */
export interface Suspects {
  whole: Place[];
  /** Begins here and ends in the next segment. */
  cut?: Place;
  /** Bytes at its start that belong to a record which began before it. */
  leadBytes: number;
}

/** Records of a segment that may make a tablespace. */
export function suspectsOf(segment: Buffer, start: bigint): Suspects {
  const suspects: Suspects = { whole: [], leadBytes: leadOf(segment, 0, start) };
  for (const { at, bytes, next } of recordsIn(segment, start)) {
    if (bytes > LONGEST_RECORD || !mayMake(segment, at)) continue;
    if (next > segment.length) suspects.cut = { at, bytes };
    else suspects.whole.push({ at, bytes });
  }
  return suspects;
}

/**
 * Where the last record ends that is whole in the first `known` bytes of a segment, zeroes behind them; undefined when none
 * is. One that ends with its page is passed over: so looks one that goes on in a page which is not known.
 */
export function endOfRecords(segment: Buffer, start: bigint, known: number): number | undefined {
  const lead = leadOf(segment, 0, start);
  const ends = [
    ...(lead > 0 ? [afterLead(segment, 0, { start, lead })] : []),
    ...Array.from(recordsIn(segment, start), ({ next }) => next),
  ];
  return ends.findLast((end) => end <= known && end % PAGE_BYTES !== 0);
}

/**
 * Walks the records of one segment, whole or as far as it is known. Where it loses its way, or a record was given up after a
 * crash, the header of the next page says where a record starts.
 */
function* recordsIn(segment: Buffer, start: bigint): Iterable<Place & { next: number }> {
  let at = afterLead(segment, 0, { start, lead: leadOf(segment, 0, start) });
  while (at < segment.length) {
    const inPage = at % PAGE_BYTES;
    if (inPage === 0) {
      at = isPage(segment, at, start)
        ? afterLead(segment, at, { start, lead: leadOf(segment, at, start) })
        : at + PAGE_BYTES;
      continue;
    }
    const bytes = segment.readUInt32LE(at);
    if (bytes < RECORD_HEADER) {
      at = nextPage(at);
      continue;
    }
    const next = inPage + aligned(bytes) <= PAGE_BYTES ? at + aligned(bytes) : behind(segment, { at, bytes }, start);
    yield { at, bytes, next };
    at = next;
  }
}

function mayMake(segment: Buffer, at: number): boolean {
  // Its header is cut by a page: what it is shows when it is put together.
  if ((at % PAGE_BYTES) + RECORD_HEADER > PAGE_BYTES) return true;
  return segment[at + 17] === RM_TBLSPC && ((segment[at + 16] ?? 0) & OPERATION_MASK) === XLOG_TBLSPC_CREATE;
}

/** Where the record behind one that reaches over a page starts; a page that does not go on with it starts anew. */
function behind(segment: Buffer, { at, bytes }: Place, start: bigint): number {
  let left = bytes - (PAGE_BYTES - (at % PAGE_BYTES));
  for (let page = nextPage(at); page < segment.length; page += PAGE_BYTES) {
    if (!isPage(segment, page, start) || leadOf(segment, page, start) !== left) return page;
    const room = PAGE_BYTES - headerBytes(page);
    if (left <= room) return page + headerBytes(page) + aligned(left);
    left -= room;
  }
  return Number.MAX_SAFE_INTEGER;
}

function afterLead(segment: Buffer, page: number, { start, lead }: { start: bigint; lead: number }): number {
  const room = PAGE_BYTES - headerBytes(page);
  if (lead <= room) return page + headerBytes(page) + aligned(lead);
  return behind(segment, { at: page + headerBytes(page), bytes: lead }, start);
}

function isPage(segment: Buffer, page: number, start: bigint): boolean {
  return segment[page + 1] === MAGIC_FAMILY && segment.readBigUInt64LE(page + 8) === start + BigInt(page);
}

/** Bytes at the start of a page that belong to a record from before it. */
function leadOf(segment: Buffer, page: number, start: bigint): number {
  if (!isPage(segment, page, start) || !(segment.readUInt16LE(page + 2) & XLP_FIRST_IS_CONTRECORD)) return 0;
  return segment.readUInt32LE(page + 16);
}

function headerBytes(page: number): number {
  return page === 0 ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER;
}

function nextPage(at: number): number {
  return at - (at % PAGE_BYTES) + PAGE_BYTES;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** True for a lead that may be the end of a record which makes a tablespace. */
export function mayEnd(leadBytes: number): boolean {
  return leadBytes > 0 && leadBytes < LONGEST_RECORD;
}

/** Bytes of a record as far as the segment has them, without the page headers between. */
export function bytesAt(segment: Buffer, { at, bytes }: Place): Buffer {
  const pieces: Buffer[] = [];
  for (const { from, to } of piecesOf(segment, { at, bytes })) pieces.push(segment.subarray(from, to));
  return Buffer.concat(pieces);
}

/** The end of a record that began in the segment before. */
export function leadBytesOf(segment: Buffer, leadBytes: number): Buffer {
  return bytesAt(segment, { at: LONG_PAGE_HEADER, bytes: leadBytes });
}

/** Writes them back; what does not fit into the segment is for the next one. Gives how many were written. */
export function writeAt(segment: Buffer, at: number, record: Buffer): number {
  let done = 0;
  for (const { from, to } of piecesOf(segment, { at, bytes: record.length })) {
    record.copy(segment, from, done, done + to - from);
    done += to - from;
  }
  return done;
}

export function writeLead(segment: Buffer, lead: Buffer): void {
  writeAt(segment, LONG_PAGE_HEADER, lead);
}

function* piecesOf(segment: Buffer, { at, bytes }: Place): Iterable<{ from: number; to: number }> {
  let from = at;
  for (let left = bytes; left > 0 && from < segment.length;) {
    const to = Math.min(nextPage(from), from + left, segment.length);
    yield { from, to };
    left -= to - from;
    from = to + headerBytes(to);
  }
}

/**
 * The same record with no path, at its full length: a tablespace in the data directory itself (manual 19.17,
 * allow_in_place_tablespaces; replay asks for no setting). Undefined for a record that is whole and makes none, or is not whole.
 */
export function madeInside(record: Buffer): (MadeTablespace & { record: Buffer }) | undefined {
  if (record.length < RECORD_HEADER || record[17] !== RM_TBLSPC) return undefined;
  if (((record[16] ?? 0) & OPERATION_MASK) !== XLOG_TBLSPC_CREATE) return undefined;
  if (record.readUInt32LE(0) !== record.length || record.readUInt32LE(CRC_AT) !== crcOf(record)) return undefined;
  const data = dataOf(record);
  if (data === undefined) return undefined;
  const oid = String(record.readUInt32LE(data));
  const path = record.subarray(data + OID_BYTES);
  const end = path.indexOf(0);
  const location = path.subarray(0, end < 0 ? path.length : end).toString();
  const changed = Buffer.from(record);
  changed.fill(0, data + OID_BYTES);
  changed.writeUInt32LE(crcOf(changed), CRC_AT);
  return { oid, location, record: changed };
}

/** Data first, then the header up to the sum itself (xlogreader.c, ValidXLogRecord). */
function crcOf(record: Buffer): number {
  return crc32c(record.subarray(0, CRC_AT), crc32c(record.subarray(RECORD_HEADER)));
}

function dataOf(record: Buffer): number | undefined {
  let at = RECORD_HEADER;
  for (let skip = BEFORE_DATA[record[at] ?? 0]; skip !== undefined; skip = BEFORE_DATA[record[at] ?? 0]) at += 1 + skip;
  if (record[at] === DATA_SHORT) at += 2;
  else if (record[at] === DATA_LONG) at += 5;
  else return undefined;
  return at + OID_BYTES < record.length ? at : undefined;
}
