import { formatLsn } from '../../../../../workflows/model/lsn.ts';
import { RECORD_HEADER } from '../marks.ts';
import type { PageHeader, PageOrder, Wrong } from './page.ts';
import { PAGE_BYTES, readPageHeader, SHORT_HEADER } from './page.ts';
import type { OpenRecord, Piece } from './record.ts';
import { crcOf, isLength, readRecordHead, wrongSum } from './record.ts';

/** A stretch of WAL to be checked by itself; plain data. */
export interface RunJob extends PageOrder {
  /** Position of its first byte. */
  start: number;
}

/** What a stretch of WAL says; plain data. Positions are numbers, exact up to 8 PiB of WAL. */
export interface RunSaid {
  records: number;
  /** Of its pages; 0 when it has no whole header. */
  magic: number;
  /** End of a record that began before it. */
  head?: Piece & { left: number; isOver: boolean };
  /** A record that was begun before it never goes on. */
  overwrites?: true;
  /** What the first record that begins in it says of the one before. */
  previous?: { of: number; is: number };
  /** Start of the last record that begins in it. */
  last?: number;
  /** Of the one before that. */
  beforeLast?: number;
  open?: OpenRecord;
  /** Nothing but zeros from here to its end. */
  zerosFrom?: number;
  /** Those are what a switch left of the segment. */
  isSwitched?: true;
  /** It begins inside of a page, and none of its records begins behind that: what goes on behind it is not known. */
  isBlind?: true;
  wrong?: Wrong & { at: number };
}

/** Checks pages and records from the first page on, up to the first thing that is wrong. */
export function checkRun(bytes: Buffer, job: RunJob): RunSaid {
  return new RunWalk(bytes, job).walk();
}

class RunWalk {
  readonly #bytes: Buffer;
  readonly #job: RunJob;
  readonly #said: RunSaid;
  #at = 0;
  #open: OpenRecord | undefined;
  /** What goes on from before, while it does. */
  #headLeft = 0;
  /** False in front of the first page of a stretch that begins inside of one. */
  #isFromPage: boolean;

  constructor(bytes: Buffer, job: RunJob) {
    this.#bytes = bytes;
    this.#job = job;
    this.#said = { records: 0, magic: job.magic };
    this.#isFromPage = job.start % PAGE_BYTES === 0;
    if (!this.#isFromPage) this.#at = Math.min(bytes.length, PAGE_BYTES - (job.start % PAGE_BYTES));
  }

  walk(): RunSaid {
    while (this.#at < this.#bytes.length && !this.#said.wrong && this.#said.zerosFrom === undefined) this.#page();
    if (this.#open) this.#said.open = { ...this.#open, first: Buffer.from(this.#open.first) };
    if (this.#said.head && this.#headLeft > 0) this.#said.head.isOver = false;
    if (this.#isBlind) this.#said.isBlind = true;
    return this.#said;
  }

  /** What stands in the rest of its first page was passed over: a record that is open there, or a switch. */
  get #isBlind(): boolean {
    return !this.#isFromPage && this.#said.records === 0;
  }

  get #position(): number {
    return this.#job.start + this.#at;
  }

  #page(): void {
    const position = this.#position;
    const isFirst = this.#at < PAGE_BYTES;
    // A stream that ended in the midst of a header; the rest comes when it goes on.
    if (this.#bytes.length - this.#at < SHORT_HEADER) return void (this.#at = this.#bytes.length);
    // Nothing was written behind the last record, or this is what a switch left of a segment longer than a stretch.
    if (!this.#open && this.#headLeft === 0 && this.#bytes[this.#at + 1] === 0) return this.#zeros();
    const { magic } = this.#said;
    const header = readPageHeader(this.#bytes, this.#at, { ...this.#job, magic, position });
    if ('wrong' in header) return this.#fail(header.wrong, position);
    this.#said.magic = header.magic;
    const end = Math.min(this.#at + PAGE_BYTES, this.#bytes.length);
    this.#at += header.bytes;
    if (this.#goOn(header, { position, end, isFirst })) this.#records(end);
    if (!this.#said.wrong && this.#said.zerosFrom === undefined) this.#at = Math.max(this.#at, end);
  }

  /** Takes what goes on from the page before; true when a record may begin behind it. */
  #goOn({ goesOn, overwrites }: PageHeader, page: { position: number; end: number; isFirst: boolean }): boolean {
    if (overwrites) this.#cutOff(page.isFirst);
    if (page.isFirst && goesOn > 0) return this.#startHead(goesOn, page.end);
    const left = this.#open ? this.#open.total - this.#open.bytes : this.#headLeft;
    if (goesOn !== left) {
      const what = this.#open ? `record at ${formatLsn(BigInt(this.#open.start))} goes on` : 'a record goes on';
      this.#fail({ what, expected: `${left} bytes`, found: `${goesOn} bytes` }, page.position);
      return false;
    }
    if (left === 0) return true;
    return this.#open ? this.#feed(this.#open, page.end) : this.#feedHead(page.end);
  }

  /** The record that was open is none: the next one stands on the one before it. */
  #cutOff(isFirst: boolean): void {
    const said = this.#said;
    if (isFirst || this.#headLeft > 0) {
      said.overwrites = true;
      delete said.head;
      this.#headLeft = 0;
    }
    if (!this.#open) return;
    this.#open = undefined;
    said.records -= 1;
    if (said.beforeLast === undefined) delete said.last;
    else said.last = said.beforeLast;
    delete said.beforeLast;
    if (said.records === 0) delete said.previous;
  }

  #startHead(left: number, end: number): boolean {
    this.#headLeft = left;
    // Of a stretch that begins inside of a page nothing stands before it that it could go on from.
    if (this.#isFromPage) this.#said.head = { first: Buffer.alloc(0), bytes: 0, crc: 0, left, isOver: true };
    return this.#feedHead(end);
  }

  #feedHead(end: number): boolean {
    const to = Math.min(end, this.#at + this.#headLeft);
    const { head } = this.#said;
    if (head) {
      const lacking = RECORD_HEADER - head.first.length;
      head.first = Buffer.concat([head.first, this.#bytes.subarray(this.#at, Math.min(to, this.#at + lacking))]);
      head.crc = crcOf(this.#bytes, { from: this.#at, to }, head.crc);
      head.bytes += to - this.#at;
    }
    this.#headLeft -= to - this.#at;
    this.#at = this.#headLeft > 0 ? end : this.#aligned(to);
    return this.#headLeft === 0;
  }

  #aligned(at: number): number {
    return at + ((8 - ((this.#job.start + at) % 8)) % 8);
  }

  #records(end: number): void {
    while (this.#at < end && !this.#said.wrong && this.#said.zerosFrom === undefined) {
      if (end - this.#at < 4) return;
      const total = this.#bytes.readUInt32LE(this.#at);
      if (total === 0) return this.#zeros();
      if (!isLength(total)) {
        const expected = `${RECORD_HEADER} bytes to a gigabyte`;
        return this.#fail({ what: 'record length', expected, found: `${total} bytes` }, this.#position);
      }
      if (this.#at + total <= end) this.#whole(total);
      else this.#begin(total, end);
    }
  }

  /** A record that no page cuts. */
  #whole(total: number): void {
    const { isSwitch, previous } = readRecordHead(this.#bytes, this.#at);
    if (!this.#follows(previous)) return;
    const body = crcOf(this.#bytes, { from: this.#at + RECORD_HEADER, to: this.#at + total }, 0);
    const wrong = wrongSum(this.#bytes, this.#at, body);
    if (wrong) return this.#fail(wrong, this.#position);
    this.#began();
    this.#at = this.#aligned(this.#at + total);
    if (isSwitch) this.#switched();
  }

  /** True when the record that begins here says rightly which one stands before it. */
  #follows(previous: number): boolean {
    const { last } = this.#said;
    const position = this.#position;
    if (last === undefined) this.#said.previous ??= { of: position, is: previous };
    if (last === undefined ? previous < position : previous === last) return true;
    const lsn = (at: number): string => formatLsn(BigInt(at));
    const expected = last === undefined ? `before ${lsn(position)}` : lsn(last);
    this.#fail({ what: 'record: the one before it', expected, found: lsn(previous) }, position);
    return false;
  }

  #began(): void {
    const { last } = this.#said;
    if (last !== undefined) this.#said.beforeLast = last;
    this.#said.last = this.#position;
    this.#said.records += 1;
  }

  #begin(total: number, end: number): void {
    this.#open = { start: this.#position, total, first: Buffer.alloc(0), bytes: 0, crc: 0 };
    this.#began();
    this.#feed(this.#open, end);
  }

  /** Takes what stands here of an open record; true when it is over and another may begin. */
  #feed(open: OpenRecord, end: number): boolean {
    const to = Math.min(end, this.#at + open.total - open.bytes);
    let from = this.#at;
    if (open.first.length < RECORD_HEADER) {
      from = Math.min(to, from + RECORD_HEADER - open.first.length);
      open.first = Buffer.concat([open.first, this.#bytes.subarray(this.#at, from)]);
      if (open.first.length === RECORD_HEADER && !this.#openFollows(open)) return false;
    }
    open.crc = crcOf(this.#bytes, { from, to }, open.crc);
    open.bytes += to - this.#at;
    this.#at = open.bytes < open.total ? end : this.#aligned(to);
    return open.bytes === open.total && this.#close(open);
  }

  #openFollows(open: OpenRecord): boolean {
    const { previous } = readRecordHead(open.first, 0);
    const before = this.#said.beforeLast;
    if (before === undefined) {
      this.#said.previous ??= { of: open.start, is: previous };
      return true;
    }
    if (previous === before) return true;
    const [expected, found] = [formatLsn(BigInt(before)), formatLsn(BigInt(previous))];
    this.#fail({ what: 'record: the one before it', expected, found }, open.start);
    return false;
  }

  #close(open: OpenRecord): boolean {
    const wrong = wrongSum(open.first, 0, open.crc);
    this.#open = undefined;
    if (wrong) this.#fail(wrong, open.start);
    else if (readRecordHead(open.first, 0).isSwitch) this.#switched();
    return !wrong && this.#said.zerosFrom === undefined;
  }

  /** The rest of the segment is zeros, page headers too (xlog.c, CopyXLogRecordToWAL). */
  #switched(): void {
    this.#said.isSwitched = true;
    const { segmentBytes } = this.#job;
    if (this.#position % segmentBytes === 0) return;
    if (this.#at < this.#bytes.length) this.#zeros();
    else this.#said.zerosFrom = this.#position;
  }

  /** Zeros from here on, to the end of the segment or of what there is. */
  #zeros(): void {
    const from = this.#at;
    const { segmentBytes } = this.#job;
    const left = segmentBytes - (this.#position % segmentBytes);
    const end = Math.min(this.#bytes.length, from + left);
    const zeros = this.#bytes.subarray(from, end);
    if (!isZero(zeros)) {
      const at = zeros.findIndex((byte) => byte !== 0);
      const expected = 'zeros to the end of the segment, where no record follows';
      return this.#fail({ what: 'WAL behind the last record', expected, found: 'other bytes' }, this.#position + at);
    }
    this.#said.zerosFrom = this.#position;
    this.#at = end;
    if (end === this.#bytes.length) return;
    // A stretch of several segments goes on, behind a switch.
    if (!this.#said.isSwitched && !this.#isBlind) {
      const [what, expected] = ['WAL behind zeros', 'nothing: the last record stands in front of them'];
      return this.#fail({ what, expected, found: 'another segment' }, this.#position);
    }
    delete this.#said.zerosFrom;
    delete this.#said.isSwitched;
  }

  #fail(wrong: Wrong, at: number): void {
    this.#said.wrong ??= { ...wrong, at };
  }
}

const ZEROS = Buffer.alloc(64 * 1024);

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const step = bytes.subarray(at, at + ZEROS.length);
    if (!step.equals(ZEROS.subarray(0, step.length))) return false;
  }
  return true;
}
