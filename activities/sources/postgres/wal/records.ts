import type { WalMark } from './marks.ts';
import {
  endMark,
  endsTransaction,
  endTime,
  headOf,
  isToldByAll,
  markOf,
  RECORD_HEADER,
  RM_XLOG,
  XLOG_SWITCH,
} from './marks.ts';
import type { Touch } from './touches.ts';
import { touchOf } from './touches.ts';

/** Layout of WAL pages: src/include/access/xlog_internal.h, the same in 15 to 18. */
const PAGE_BYTES = 8192;
const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;
const XLP_LONG_HEADER = 0x0002;
/** Enough of a record for its header, origin, top-level xid, data header and the commit's timestamp. */
const HEAD_BYTES = 64;
/** XLOG_PAGE_MAGIC is D110 in 15, D113, D116, D118 in 18: anything outside of the family is no page of ours. */
const MAGIC_FAMILY = 0xd1;
/** The largest record there can be is a gigabyte; those that are read whole are of kilobytes. */
const LONGEST_WHOLE_BYTES = 64 << 20;

/**
 * Walks the records of a WAL stream, which comes in order and is cut anywhere, and tells when transactions ended, and
 * whatever else somebody asks for. It never fails: what it cannot read it passes over up to the next page, whose header says
 * where the next record starts.
 */
export class RecordWalker {
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
  readonly #onMark: ((mark: WalMark) => void) | undefined;
  readonly #onTouch: ((touch: Touch) => void) | undefined;
  /** First byte of the record that is being read. */
  #recordStart = 0;
  /** A record that is needed as a whole, and how much of it came. */
  #whole: Buffer | undefined;
  #wholeFilled = 0;
  /** Told when the record has come to its end. */
  #mark: WalMark | undefined;
  /** Lower byte of the magic number of the newest page. */
  #magic = 0;

  /**
   * `onMark` hears of each record of interest, in order, once it has come as a whole; `onTouch` of those that change rows when
   * they begin. With it, the ends of transactions name their subtransactions.
   */
  constructor(onMark?: (mark: WalMark) => void, onTouch?: (touch: Touch) => void) {
    this.#onMark = onMark;
    this.#onTouch = onTouch;
  }

  /** True in the midst of a record that will be told, or may be. */
  get isPending(): boolean {
    return this.#collecting || this.#whole !== undefined || this.#mark !== undefined;
  }

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
    this.#mark = undefined;
    this.#whole = undefined;
  }

  #step(bytes: Buffer, at: number): number {
    const inPage = this.#position % PAGE_BYTES;
    if (this.#pageFilled > 0 || inPage === 0) return this.#collectPage(bytes, at);
    const room = Math.min(PAGE_BYTES - inPage, bytes.length - at);
    if (this.#lost) return room;
    if (this.#collecting) return this.#collectHead(bytes, at, room);
    if (this.#left === 0) return this.#startRecord(bytes, at, room);
    const passed = Math.min(this.#left, room);
    if (this.#whole) this.#wholeFilled += bytes.copy(this.#whole, this.#wholeFilled, at, at + passed);
    this.#pass(passed);
    return passed;
  }

  #pass(bytes: number): void {
    this.#left -= bytes;
    if (this.#left > 0) return;
    if (this.#ending !== undefined && this.#ending > (this.#newest ?? 0)) this.#newest = this.#ending;
    this.#ending = undefined;
    this.#tell();
  }

  #tell(): void {
    const mark = this.#whole ? markOf(this.#whole, BigInt(this.#recordStart), this.#magic) : this.#mark;
    this.#whole = undefined;
    this.#mark = undefined;
    if (mark) this.#onMark?.(mark);
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
    this.#magic = this.#page[0] as number;
    if (this.#page[1] !== MAGIC_FAMILY || Number(this.#page.readBigUInt64LE(8)) !== address) return this.#lose();
    const goesOn = aligned(this.#page.readUInt32LE(16));
    const expected = this.#collecting ? aligned(this.#head.readUInt32LE(0)) - this.#headFilled : this.#left;
    if (!this.#lost && goesOn === expected) return;
    this.#lose();
    this.#lost = false;
    this.#left = goesOn;
  }

  #startRecord(bytes: Buffer, at: number, room: number): number {
    this.#recordStart = this.#position;
    if (room < HEAD_BYTES) {
      this.#collecting = true;
      this.#headFilled = 0;
      return this.#collectHead(bytes, at, room);
    }
    this.#examine(bytes, at);
    const passed = Math.min(this.#left, room);
    if (this.#whole) this.#wholeFilled += bytes.copy(this.#whole, 0, at, at + passed);
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
    if (this.#whole) this.#wholeFilled += this.#head.copy(this.#whole, 0, 0, this.#headFilled);
    this.#pass(this.#headFilled);
  }

  /** Reads the head of a record, and sets what is to be passed over. */
  #examine(bytes: Buffer, at: number): void {
    const head = headOf(bytes, at);
    const { total, manager, info } = head;
    // Zeroes: the rest of the segment was not used. After a switch it is padding.
    if (total < RECORD_HEADER || (manager === RM_XLOG && (info & 0xf0) === XLOG_SWITCH)) return this.#lose();
    this.#left = aligned(total);
    this.#touch(bytes, at);
    if (this.#onMark && this.#isNeeded(head) && total <= LONGEST_WHOLE_BYTES) {
      this.#whole = Buffer.alloc(aligned(total));
      this.#wholeFilled = 0;
    }
    if (!endsTransaction(head)) return;
    this.#ending = endTime(bytes, at);
    if (this.#onMark && !this.#whole) this.#mark = endMark(bytes, at, BigInt(this.#recordStart));
  }

  #touch(bytes: Buffer, at: number): void {
    const touch = this.#onTouch && touchOf(bytes, at);
    if (touch) this.#onTouch?.(touch);
  }

  /** True for a record that is to be read as a whole. */
  #isNeeded(head: ReturnType<typeof headOf>): boolean {
    return isToldByAll(head) || (this.#onTouch !== undefined && endsTransaction(head));
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
