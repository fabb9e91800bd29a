/** Layout of WAL pages and records: src/include/access/xlog_internal.h and xlogrecord.h, the same in 15 to 18. */
const PAGE_BYTES = 8192;
const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;
const XLP_LONG_HEADER = 0x0002;
const RECORD_HEADER = 24;
/** Enough of a record for its header, origin, top-level xid, data header and the commit's timestamp. */
const HEAD_BYTES = 64;
const RM_XLOG = 0;
const RM_XACT = 1;
const XLOG_SWITCH = 0x40;
const OPERATION_MASK = 0x70;
/** commit, abort, commit prepared, abort prepared (xact.h): each starts with its timestamp. */
const ENDINGS = new Set([0x00, 0x20, 0x30, 0x40]);
const BLOCK_TOPLEVEL_XID = 252;
const BLOCK_ORIGIN = 253;
const BLOCK_DATA_LONG = 254;
const BLOCK_DATA_SHORT = 255;
/** XLOG_PAGE_MAGIC is D110 in 15, D113, D116, D118 in 18: anything outside of the family is no page of ours. */
const MAGIC_FAMILY = 0xd1;
const EPOCH_MICROS = 946_684_800_000_000;
/** Beyond the year 2200 we have lost our way. */
const LATEST_MICROS = 7_258_118_400_000_000;

/**
 * Walks the records of a WAL stream, which comes in order and is cut anywhere, and tells when transactions ended. It
 * never fails: what it cannot read it passes over up to the next page, whose header says where the next record starts.
 */
export class CommitWalker {
  /** LSN of the next byte. Exact as a number up to 8 PiB of WAL. */
  #position = -1;
  readonly #page = Buffer.alloc(LONG_PAGE_HEADER);
  #pageFilled = 0;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headFilled = 0;
  /** True while bytes of a record's head are collected because it is cut by a page or by the end of what came. */
  #collecting = false;
  /** Bytes up to the next record, page headers not counted. */
  #left = 0;
  #lost = true;
  /** When the transaction ended whose record is being passed over. */
  #ending: number | undefined;
  #newest: number | undefined;

  /** Newest end of a transaction among the records that ended since the last call, microseconds since 1970. */
  take(): number | undefined {
    const newest = this.#newest;
    this.#newest = undefined;
    return newest;
  }

  push(start: bigint, bytes: Buffer): void {
    if (Number(start) !== this.#position) this.#restart(Number(start));
    for (let at = 0; at < bytes.length;) {
      const taken = this.#step(bytes, at);
      at += taken;
      this.#position += taken;
    }
  }

  #restart(position: number): void {
    this.#position = position;
    this.#pageFilled = 0;
    this.#lose();
  }

  #lose(): void {
    this.#lost = true;
    this.#collecting = false;
    this.#left = 0;
    this.#ending = undefined;
  }

  #step(bytes: Buffer, at: number): number {
    const inPage = this.#position % PAGE_BYTES;
    if (this.#pageFilled > 0 || inPage === 0) return this.#collectPage(bytes, at);
    const room = Math.min(PAGE_BYTES - inPage, bytes.length - at);
    if (this.#lost) return room;
    if (this.#collecting) return this.#collectHead(bytes, at, room);
    if (this.#left === 0) return this.#startRecord(bytes, at, room);
    const passed = Math.min(this.#left, room);
    this.#pass(passed);
    return passed;
  }

  #pass(bytes: number): void {
    this.#left -= bytes;
    if (this.#left > 0 || this.#ending === undefined) return;
    if (this.#ending > (this.#newest ?? 0)) this.#newest = this.#ending;
    this.#ending = undefined;
  }

  #collectPage(bytes: Buffer, at: number): number {
    const taken = bytes.copy(this.#page, this.#pageFilled, at, at + this.#pageHeaderBytes() - this.#pageFilled);
    this.#pageFilled += taken;
    if (this.#pageFilled >= SHORT_PAGE_HEADER && this.#pageFilled === this.#pageHeaderBytes()) this.#startPage();
    return taken;
  }

  #pageHeaderBytes(): number {
    if (this.#pageFilled < SHORT_PAGE_HEADER) return SHORT_PAGE_HEADER;
    return this.#page.readUInt16LE(2) & XLP_LONG_HEADER ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER;
  }

  /** The header says how much of a record goes on here: where that is not what we expect, its word counts. */
  #startPage(): void {
    const address = this.#position - (this.#position % PAGE_BYTES);
    this.#pageFilled = 0;
    if (this.#page[1] !== MAGIC_FAMILY || Number(this.#page.readBigUInt64LE(8)) !== address) return this.#lose();
    const goesOn = aligned(this.#page.readUInt32LE(16));
    const expected = this.#collecting ? aligned(this.#head.readUInt32LE(0)) - this.#headFilled : this.#left;
    if (!this.#lost && goesOn === expected) return;
    this.#lose();
    this.#lost = false;
    this.#left = goesOn;
  }

  #startRecord(bytes: Buffer, at: number, room: number): number {
    if (room < HEAD_BYTES) {
      this.#collecting = true;
      this.#headFilled = 0;
      return this.#collectHead(bytes, at, room);
    }
    this.#examine(bytes, at);
    const passed = Math.min(this.#left, room);
    this.#pass(passed);
    return Math.max(passed, this.#lost ? room : 0);
  }

  #collectHead(bytes: Buffer, at: number, room: number): number {
    const known = this.#headFilled >= 4;
    // The length stands in the first four bytes, which no page boundary cuts.
    const wanted = known ? Math.min(HEAD_BYTES, aligned(this.#head.readUInt32LE(0))) : 4;
    const taken = bytes.copy(this.#head, this.#headFilled, at, at + Math.min(wanted - this.#headFilled, room));
    this.#headFilled += taken;
    if (this.#headFilled < 4) return taken;
    const total = this.#head.readUInt32LE(0);
    if (total < RECORD_HEADER) this.#lose();
    else if (this.#headFilled === Math.min(HEAD_BYTES, aligned(total))) this.#headIsWhole();
    return taken;
  }

  #headIsWhole(): void {
    this.#collecting = false;
    this.#examine(this.#head, 0);
    this.#pass(this.#headFilled);
  }

  /** Reads the head of a record, and sets what is to be passed over. */
  #examine(bytes: Buffer, at: number): void {
    const total = bytes.readUInt32LE(at);
    const info = bytes[at + 16] as number;
    const manager = bytes[at + 17];
    // Zeroes: the rest of the segment was not used. After a switch it is padding.
    if (total < RECORD_HEADER || (manager === RM_XLOG && (info & 0xf0) === XLOG_SWITCH)) return this.#lose();
    this.#left = aligned(total);
    if (manager === RM_XACT && ENDINGS.has(info & OPERATION_MASK)) this.#ending = endTime(bytes, at, total);
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Timestamp at the start of the main data, which stands at the record's end; ending records refer to no blocks. */
function endTime(bytes: Buffer, start: number, recordBytes: number): number | undefined {
  let at = start + RECORD_HEADER;
  if (bytes[at] === BLOCK_ORIGIN) at += 3;
  if (bytes[at] === BLOCK_TOPLEVEL_XID) at += 5;
  if (bytes[at] !== BLOCK_DATA_SHORT && bytes[at] !== BLOCK_DATA_LONG) return undefined;
  at += bytes[at] === BLOCK_DATA_SHORT ? 2 : 5;
  if (at + 8 > start + Math.min(recordBytes, HEAD_BYTES)) return undefined;
  const micros = Number(bytes.readBigInt64LE(at)) + EPOCH_MICROS;
  return micros > 0 && micros < LATEST_MICROS ? micros : undefined;
}
