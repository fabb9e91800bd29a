import { formatLsn } from '../../../../../workflows/model/lsn.ts';
import { crc32c, crc32cCombine } from '../../../../io/crc32c.ts';
import { RECORD_HEADER } from '../marks.ts';
import type { RunSaid } from './check-run.ts';
import type { Wrong } from './page.ts';
import type { OpenRecord, Piece } from './record.ts';
import { readRecordHead, wrongSum } from './record.ts';

/** What is known where a stretch ends; JSON safe, so that another attempt can go on behind it. */
export interface ChainState {
  timeline: number;
  end: number;
  magic: number;
  /** Start of the last record that began, and of the one before it while that one is open. */
  previous?: number;
  beforeOpen?: number;
  open?: Omit<OpenRecord, 'first'> & { first: string };
  /** The rest of the segment is what a switch left of it. */
  isPadding?: true;
  /** Zeros follow the last record, and no switch was there. */
  isEnd?: true;
}

export interface Stretch {
  timeline: number;
  start: number;
  end: number;
  segmentBytes: number;
}

type Found = Wrong & { at: number };

/** Joins what stretches of WAL say, in their order: a record may begin in one and end in another. */
export class Chain {
  #state: ChainState | undefined;

  constructor(state?: ChainState) {
    this.#state = state;
  }

  get state(): ChainState | undefined {
    return this.#state;
  }

  /** What is wrong in the stretch, or where it meets the one before. */
  add(stretch: Stretch, said: RunSaid): Found | undefined {
    const before = this.#state;
    const isNext = before?.timeline === stretch.timeline && before.end === stretch.start;
    const border = isNext ? borderOf(before, stretch, said) : { previous: undefined };
    const wrong = 'wrong' in border ? border.wrong : said.wrong;
    this.#state = said.wrong ? undefined : next(stretch, said, 'wrong' in border ? {} : border);
    return wrong;
  }
}

/** What remains of the stretch before. */
interface Border {
  previous?: number | undefined;
  beforeOpen?: number | undefined;
  open?: OpenRecord | undefined;
  isPadding?: boolean;
}

const lsn = (at: number): string => formatLsn(BigInt(at));

function borderOf(before: ChainState, { start }: Stretch, said: RunSaid): Border | { wrong: Found } {
  const isZeros = said.zerosFrom === start;
  if (before.isPadding === true && isZeros) return { previous: before.previous, isPadding: true };
  const wrong = wrongZeros(before, start, isZeros) ?? wrongMagic(before, start, said);
  if (wrong) return { wrong };
  const border = said.overwrites ? { previous: before.beforeOpen ?? before.previous } : goneOn(before, start, said);
  if ('wrong' in border) return border;
  const other = wrongPrevious(border.previous, said);
  return other ? { wrong: other } : border;
}

/** Zeros are what a switch left of a segment, or the end of the WAL. */
function wrongZeros({ isPadding, isEnd }: ChainState, start: number, isZeros: boolean): Found | undefined {
  if (!isPadding && !isEnd && !isZeros) return undefined;
  const expected = isPadding ? 'zeros, behind a switch of segments' : 'records that follow';
  return { at: start, what: 'WAL', expected, found: isZeros ? 'zeros' : 'records behind zeros' };
}

function wrongMagic(before: ChainState, start: number, said: RunSaid): Found | undefined {
  if (said.magic === 0 || before.magic === 0 || said.magic === before.magic) return undefined;
  const [expected, found] = [before.magic.toString(16), said.magic.toString(16)];
  return { at: start, what: 'page header: magic number', expected, found };
}

function wrongPrevious(known: number | undefined, { previous }: RunSaid): Found | undefined {
  if (previous === undefined || known === undefined || previous.is === known) return undefined;
  return { at: previous.of, what: 'record: the one before it', expected: lsn(known), found: lsn(previous.is) };
}

/** The record that is open where the stretch begins. */
function goneOn(before: ChainState, start: number, said: RunSaid): Border | { wrong: Found } {
  const { previous } = before;
  const { head } = said;
  if (!before.open) {
    if (!head) return { previous };
    const expected = 'a record that begins';
    return {
      wrong: { at: start, what: 'WAL', expected, found: `${head.left} bytes of one that did not begin before` },
    };
  }
  const { first, ...rest } = before.open;
  const open = { ...rest, first: Buffer.from(first, 'base64') };
  const what = `record at ${lsn(open.start)} goes on`;
  const left = open.total - open.bytes;
  if (head?.left !== left) {
    const found = head ? `${head.left} bytes` : 'the beginning of another record';
    return { wrong: { at: start, what, expected: `${left} bytes`, found } };
  }
  const joined = { ...open, ...join(open, head) };
  if (!head.isOver) return { previous, beforeOpen: before.beforeOpen, open: joined };
  const wrong = wrongWhole(joined, open.first.length < RECORD_HEADER ? before.beforeOpen : undefined);
  if (wrong) return { wrong: { ...wrong, at: open.start } };
  // A switch whose header the border cuts: neither of the stretches knows that it is one.
  const isPadding = said.records === 0 && said.zerosFrom !== undefined && readRecordHead(joined.first, 0).isSwitch;
  return { previous, isPadding };
}

function join(open: Piece, head: Piece): Piece {
  const taken = Buffer.from(head.first).subarray(0, RECORD_HEADER - open.first.length);
  const bytes = head.bytes - taken.length;
  // Of "header and body" without the header: a sum is linear.
  const body = taken.length === 0 ? head.crc : crc32cCombine(crc32c(taken), head.crc, bytes);
  return {
    first: Buffer.concat([open.first, taken]),
    bytes: open.bytes + head.bytes,
    crc: crc32cCombine(open.crc, body, bytes),
  };
}

function wrongWhole(record: OpenRecord, before: number | undefined): Wrong | undefined {
  const { previous } = readRecordHead(record.first, 0);
  if (before !== undefined && previous !== before)
    return { what: 'record: the one before it', expected: lsn(before), found: lsn(previous) };
  return wrongSum(record.first, 0, record.crc);
}

function next({ timeline, end, segmentBytes }: Stretch, said: RunSaid, border: Border): ChainState | undefined {
  // Whose end was not seen begins nowhere that is known.
  if (said.isBlind === true || (said.head?.isOver === false && !border.open)) return undefined;
  const open = said.open ?? border.open;
  const isPadding = said.isSwitched === true || border.isPadding === true;
  return {
    ...{ timeline, end, magic: said.magic },
    ...given({ previous: said.last ?? border.previous }),
    ...given({ beforeOpen: said.open ? (said.beforeLast ?? border.previous) : border.beforeOpen }),
    ...(open ? { open: { ...open, first: Buffer.from(open.first).toString('base64') } } : {}),
    ...(isPadding ? padding(end, segmentBytes) : ending(said)),
  };
}

function padding(end: number, segmentBytes: number): { isPadding?: true } {
  return end % segmentBytes === 0 ? {} : { isPadding: true };
}

function ending({ zerosFrom }: RunSaid): { isEnd?: true } {
  return zerosFrom === undefined ? {} : { isEnd: true };
}

/** What is known. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
