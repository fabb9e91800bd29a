/** Layout of WAL pages and records: src/include/access/xlog_internal.h and xlogrecord.h, the same in 15 to 18. */
const PAGE_BYTES = 8192;
const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;
const LONG_HEADER_FLAG = 0x0002;
const RECORD_HEADER = 24;
/** Enough of a record for its header, origin, top-level xid, data header and the commit's timestamp. */
const HEAD_BYTES = 64;
const RM_XLOG = 0;
const RM_XACT = 1;
const XLOG_SWITCH = 0x40;
const OPERATION_MASK = 0x70;
/** commit, abort, commit prepared, abort prepared: each starts with its timestamp. */
const ENDINGS = new Set([0x00, 0x20, 0x30, 0x40]);
const BLOCK_ORIGIN = 253;
const BLOCK_TOPLEVEL_XID = 252;
const BLOCK_DATA_LONG = 254;
const BLOCK_DATA_SHORT = 255;
/** First magic number of PostgreSQL 15 and a generous last one: anything else is no WAL page. */
const MAGIC_FROM = 0xd100;
const MAGIC_TO = 0xd1ff;
const EPOCH_MICROS = 946_684_800_000_000;

/**
 * Walks the records of a WAL stream, whose bytes come in order and cut anywhere, and finds when transactions ended.
 * It never stops the stream: what it cannot read it skips up to the next page, where it finds its way again.
 */
export class CommitScanner {
  #position = -1;
  /** Bytes of the page or record header collected so far. */
  readonly #page = Buffer.alloc(LONG_PAGE_HEADER);
  #pageFilled = 0;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headFilled = 0;
  /** Total length of the record being read; 0 between records. */
  #recordBytes = 0;
  #recordSeen = 0;
  /** Bytes to pass over before the next record: alignment, or the rest of a record whose start we did not see. */
  #skip = 0;
  #lost = true;
  #newest: number | undefined;

  /** Newest end of a transaction since the last call, microseconds since 1970. */
  take(): number | undefined {
    const newest = this.#newest;
    this.#newest = undefined;
    return newest;
  }

  push(start: bigint, bytes: Buffer): void {
    const position = Number(start);
    if (position !== this.#position) this.#restart(position);
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
    this.#recordBytes = 0;
    this.#headFilled = 0;
    this.#skip = 0;
  }

  #step(bytes: Buffer, at: number): number {
    const inPage = this.#position % PAGE_BYTES;
    if (this.#pageFilled > 0 || inPage === 0) return this.#collectPage(bytes, at);
    const room = Math.min(PAGE_BYTES - inPage, bytes.length - at);
    if (this.#lost) return room;
    if (this.#skip > 0) {
      const taken = Math.min(this.#skip, room);
      this.#skip -= taken;
      return taken;
    }
    return this.#collectRecord(bytes, at, room);
  }

  #collectPage(bytes: Buffer, at: number): number {
    const wanted = this.#pageFilled < 4 ? 4 : this.#pageHeaderBytes();
    const taken = Math.min(wanted - this.#pageFilled, bytes.length - at);
    bytes.copy(this.#page, this.#pageFilled, at, at + taken);
    this.#pageFilled += taken;
    if (this.#pageFilled >= 4 && this.#pageFilled === this.#pageHeaderBytes()) this.#startPage();
    return taken;
  }

  #pageHeaderBytes(): number {
    return this.#page.readUInt16LE(2) & LONG_HEADER_FLAG ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER;
  }

  #startPage(): void {
    this.#pageFilled = 0;
    const magic = this.#page.readUInt16LE(0);
    if (magic < MAGIC_FROM || magic > MAGIC_TO) return this.#lose();
    if (!this.#lost) return;
    // Begin at the first record that starts on this page.
    this.#lost = false;
    this.#skip = aligned(this.#page.readUInt32LE(16));
  }

  #collectRecord(bytes: Buffer, at: number, room: number): number {
    if (this.#recordBytes === 0) this.#recordSeen = 0;
    const wanted = this.#recordBytes === 0 ? 4 : this.#recordBytes;
    const taken = Math.min(wanted - this.#recordSeen, room);
    if (this.#headFilled < HEAD_BYTES) {
      this.#headFilled += bytes.copy(
        this.#head,
        this.#headFilled,
        at,
        at + Math.min(taken, HEAD_BYTES - this.#headFilled),
      );
    }
    this.#recordSeen += taken;
    if (this.#recordBytes === 0 && this.#recordSeen === 4) this.#startRecord();
    else if (this.#recordBytes > 0 && this.#recordSeen === this.#recordBytes) this.#finishRecord();
    return taken;
  }

  #startRecord(): void {
    const total = this.#head.readUInt32LE(0);
    // Zeroes: the rest of the page, or of the segment, was not used.
    if (total < RECORD_HEADER) this.#lose();
    else this.#recordBytes = total;
  }

  #finishRecord(): void {
    const info = this.#head[16] ?? 0;
    const manager = this.#head[17];
    if (manager === RM_XACT && ENDINGS.has(info & OPERATION_MASK)) this.#note(endTime(this.#head, this.#recordBytes));
    const skip = aligned(this.#recordBytes) - this.#recordBytes;
    this.#recordBytes = 0;
    this.#headFilled = 0;
    this.#skip = skip;
    // The rest of the segment is padding; the next page header says where to go on.
    if (manager === RM_XLOG && (info & 0xf0) === XLOG_SWITCH) this.#lose();
  }

  #note(micros: number | undefined): void {
    if (micros !== undefined && micros > (this.#newest ?? 0)) this.#newest = micros;
  }
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Timestamp at the start of the main data, which stands at the record's end; ending records refer to no blocks. */
function endTime(head: Buffer, recordBytes: number): number | undefined {
  let at = RECORD_HEADER;
  if (head[at] === BLOCK_ORIGIN) at += 3;
  if (head[at] === BLOCK_TOPLEVEL_XID) at += 5;
  const dataAt = head[at] === BLOCK_DATA_SHORT ? at + 2 : head[at] === BLOCK_DATA_LONG ? at + 5 : -1;
  if (dataAt < 0 || dataAt + 8 > Math.min(recordBytes, HEAD_BYTES)) return undefined;
  return Number(head.readBigInt64LE(dataAt)) + EPOCH_MICROS;
}
