/** Layout of WAL pages: src/include/access/xlog_internal.h, the same in 15 to 18. */
export const PAGE_BYTES = 8192;
export const SHORT_HEADER = 24;
const LONG_HEADER = 40;
const AT = { info: 2, timeline: 4, address: 8, goesOn: 16, systemId: 24, segmentBytes: 32, pageBytes: 36 } as const;
const FIRST_IS_CONTRECORD = 0x0001;
const LONG = 0x0002;
/** A record that a crash cut off: it never goes on, and the one that says so follows. */
const FIRST_IS_OVERWRITE = 0x0008;
const ALL_FLAGS = 0x000f;
const MAGIC_FAMILY = 0xd1;

/** What pages of one stretch of WAL must say of themselves; plain data. */
export interface PageOrder {
  systemId: string;
  timeline: number;
  segmentBytes: number;
  /** Timelines before it and where each was left; undefined when that is not known. */
  forks: readonly (readonly [timeline: number, leftAt: number])[] | undefined;
  /** XLOG_PAGE_MAGIC; 0: any of the family. */
  magic: number;
}

export interface PageHeader {
  bytes: number;
  magic: number;
  /** Bytes of a record that began before, up to its end. */
  goesOn: number;
  overwrites: boolean;
}

export interface Wrong {
  what: string;
  expected: string;
  found: string;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

type Place = PageOrder & { position: number };

/** The header of the page at `position`, or what is wrong with it. `at` is where it stands in `bytes`. */
export function readPageHeader(bytes: Buffer, at: number, order: Place): PageHeader | { wrong: Wrong } {
  const isFirst = order.position % order.segmentBytes === 0;
  const length = isFirst ? LONG_HEADER : SHORT_HEADER;
  if (bytes.length - at < length) return { wrong: wrongAs('its length', length, bytes.length - at) };
  const magic = bytes.readUInt16LE(at);
  const info = bytes.readUInt16LE(at + AT.info);
  const goesOn = bytes.readUInt32LE(at + AT.goesOn);
  const wrong =
    wrongMagic(magic, order) ??
    wrongFlags(info, isFirst) ??
    wrongAddress(bytes, at, order) ??
    wrongTimeline(bytes.readUInt32LE(at + AT.timeline), order) ??
    wrongGoingOn(info, goesOn) ??
    (isFirst ? wrongLong(bytes, at, order) : undefined);
  if (wrong) return { wrong };
  return { bytes: length, magic, goesOn, overwrites: (info & FIRST_IS_OVERWRITE) !== 0 };
}

function wrongAs(what: string, expected: string | number, found: string | number): Wrong {
  return { what: `page header: ${what}`, expected: String(expected), found: String(found) };
}

function wrongMagic(magic: number, { magic: wanted }: PageOrder): Wrong | undefined {
  if (wanted === 0) return magic >> 8 === MAGIC_FAMILY ? undefined : wrongAs('magic number', '0xd1..', hex(magic));
  return magic === wanted ? undefined : wrongAs('magic number', hex(wanted), hex(magic));
}

function wrongFlags(info: number, isFirst: boolean): Wrong | undefined {
  if ((info & ~ALL_FLAGS) === 0 && ((info & LONG) !== 0) === isFirst) return undefined;
  return wrongAs('flags', isFirst ? 'the long form' : 'the short form', hex(info));
}

function wrongAddress(bytes: Buffer, at: number, { position }: Place): Wrong | undefined {
  const address = bytes.readUInt32LE(at + AT.address) + bytes.readUInt32LE(at + AT.address + 4) * 2 ** 32;
  return address === position ? undefined : wrongAs('address', hex(position), hex(address));
}

function wrongTimeline(timeline: number, order: Place): Wrong | undefined {
  const expected = timelineAt(order);
  const fits = expected === undefined ? timeline >= 1 && timeline <= order.timeline : timeline === expected;
  return fits ? undefined : wrongAs('timeline', expected ?? `at most ${order.timeline}`, timeline);
}

function wrongGoingOn(info: number, goesOn: number): Wrong | undefined {
  if (((info & FIRST_IS_CONTRECORD) !== 0) === goesOn > 0) return undefined;
  const found = `flags ${hex(info)}, ${goesOn} bytes`;
  return wrongAs('what goes on from the page before', 'flag and length that agree', found);
}

/** A page is of the timeline on which it was begun. */
function timelineAt({ forks, position, timeline }: Place): number | undefined {
  if (!forks) return undefined;
  return forks.find(([, leftAt]) => position < leftAt)?.[0] ?? timeline;
}

function wrongLong(bytes: Buffer, at: number, order: PageOrder): Wrong | undefined {
  const systemId = String(bytes.readBigUInt64LE(at + AT.systemId));
  if (systemId !== order.systemId) return wrongAs('system identifier', order.systemId, systemId);
  const segment = bytes.readUInt32LE(at + AT.segmentBytes);
  if (segment !== order.segmentBytes) return wrongAs('segment size', order.segmentBytes, segment);
  const page = bytes.readUInt32LE(at + AT.pageBytes);
  return page === PAGE_BYTES ? undefined : wrongAs('page size', PAGE_BYTES, page);
}

/** Segment size that the first page of a segment says; undefined when this is none. */
export function segmentBytesOf(bytes: Buffer): number | undefined {
  if (bytes.length < LONG_HEADER || bytes[1] !== MAGIC_FAMILY || (bytes.readUInt16LE(AT.info) & LONG) === 0)
    return undefined;
  const size = bytes.readUInt32LE(AT.segmentBytes);
  return size >= 2 ** 20 && size <= 2 ** 30 && Number.isInteger(Math.log2(size)) ? size : undefined;
}
