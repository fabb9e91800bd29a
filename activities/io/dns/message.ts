import { decodeName, encodeName, expandName } from './name.ts';

/** IANA "Domain Name System Parameters", as far as we use them. */
export const TYPE = { A: 1, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, SRV: 33, TSIG: 250 } as const;
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;
export const OPCODE = { QUERY: 0, UPDATE: 5 } as const;
export const RCODE = {
  ...{ NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 },
  ...{ YXDOMAIN: 6, YXRRSET: 7, NXRRSET: 8, NOTAUTH: 9, NOTZONE: 10 },
} as const;

export function rcodeName(rcode: number): string {
  return Object.entries(RCODE).find(([, value]) => value === rcode)?.[0] ?? `rcode ${rcode}`;
}

export interface DnsQuestion {
  name: string;
  type: number;
  class: number;
}

export interface DnsRecord extends DnsQuestion {
  /** Seconds. */
  ttl: number;
  /** RDATA; names in it are never compressed. */
  data: Buffer;
}

/**
 * RFC 1035, 4.1. Of an UPDATE (RFC 2136, 2) the question is the zone, the answers are the prerequisites and the authority
 * section is what is to be changed.
 */
export interface DnsMessage {
  id: number;
  opcode: number;
  isResponse: boolean;
  isAuthoritative: boolean;
  isTruncated: boolean;
  /** Asks a resolver to ask others. */
  wantsRecursion: boolean;
  rcode: number;
  questions: DnsQuestion[];
  answers: DnsRecord[];
  authority: DnsRecord[];
  additional: DnsRecord[];
}

/** A message as it was read; `lastOffset` is where its last record starts. */
export interface ReadMessage extends DnsMessage {
  lastOffset: number;
}

const FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100 } as const;

export function encodeMessage(
  message: Pick<DnsMessage, 'id' | 'opcode' | 'questions'> & Partial<Omit<DnsMessage, 'id' | 'opcode' | 'questions'>>,
): Buffer {
  const { id, opcode, questions, answers = [], authority = [], additional = [] } = message;
  const head = Buffer.alloc(12);
  const flags = (opcode << 11) | (message.wantsRecursion ? FLAG.RD : 0);
  const counts = [questions, answers, authority, additional].map(({ length }) => length);
  for (const [index, value] of [id, flags, ...counts].entries()) head.writeUInt16BE(value, index * 2);
  const records = [...answers, ...authority, ...additional].map(encodeRecord);
  return Buffer.concat([head, ...questions.map(encodeQuestion), ...records]);
}

function encodeQuestion({ name, type, class: of }: DnsQuestion): Buffer {
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(type, 0);
  rest.writeUInt16BE(of, 2);
  return Buffer.concat([encodeName(name), rest]);
}

export function encodeRecord({ ttl, data, ...question }: DnsRecord): Buffer {
  const rest = Buffer.alloc(6);
  rest.writeUInt32BE(ttl, 0);
  rest.writeUInt16BE(data.length, 4);
  return Buffer.concat([encodeQuestion(question), rest, data]);
}

/** RangeError when it is none. */
export function decodeMessage(bytes: Buffer): ReadMessage {
  const [id = 0, flags = 0, ...counts] = [0, 2, 4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const [questionCount = 0, ...recordCounts] = counts;
  let at = 12;
  const questions = Array.from({ length: questionCount }, () => {
    const { question, next } = decodeQuestion(bytes, at);
    at = next;
    return question;
  });
  let lastOffset = at;
  const [answers = [], authority = [], additional = []] = recordCounts.map((count) =>
    Array.from({ length: count }, () => {
      lastOffset = at;
      const { record, next } = decodeRecord(bytes, at);
      at = next;
      return record;
    }),
  );
  return {
    ...{ id, opcode: (flags >> 11) & 0xf, rcode: flags & 0xf, wantsRecursion: (flags & FLAG.RD) !== 0 },
    ...{ isResponse: (flags & FLAG.QR) !== 0, isAuthoritative: (flags & FLAG.AA) !== 0 },
    ...{ isTruncated: (flags & FLAG.TC) !== 0, questions, answers, authority, additional, lastOffset },
  };
}

function decodeQuestion(bytes: Buffer, at: number): { question: DnsQuestion; next: number } {
  const { name, next } = decodeName(bytes, at);
  return { question: { name, type: bytes.readUInt16BE(next), class: bytes.readUInt16BE(next + 2) }, next: next + 4 };
}

function decodeRecord(bytes: Buffer, at: number): { record: DnsRecord; next: number } {
  const { question, next } = decodeQuestion(bytes, at);
  const ttl = bytes.readUInt32BE(next);
  const from = next + 6;
  const end = from + bytes.readUInt16BE(next + 4);
  if (end > bytes.length) throw new RangeError('a record is cut off');
  return { record: { ...question, ttl, data: expandedData(bytes, { type: question.type, from, end }) }, next: end };
}

/** Where names in RDATA start, and how many there are: those that may be compressed, and that of SRV, where some servers do it. */
const NAMES_IN: Partial<Record<number, { at: number; count: number }>> = {
  [TYPE.CNAME]: { at: 0, count: 1 },
  [TYPE.SOA]: { at: 0, count: 2 },
  [TYPE.SRV]: { at: 6, count: 1 },
};

function expandedData(bytes: Buffer, { type, from, end }: { type: number; from: number; end: number }): Buffer {
  const names = NAMES_IN[type];
  if (!names || from === end) return Buffer.from(bytes.subarray(from, end));
  const pieces = [bytes.subarray(from, from + names.at)];
  let at = from + names.at;
  for (let index = 0; index < names.count; index++) {
    const name = expandName(bytes, at);
    pieces.push(name.bytes);
    at = name.next;
  }
  return Buffer.concat([...pieces, bytes.subarray(at, end)]);
}
