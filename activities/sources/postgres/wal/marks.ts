/**
 * What some records of WAL say. Layouts: src/include/access/xlogrecord.h, xact.h, xlog_internal.h and catalog/pg_control.h;
 * where 15 to 18 differ it is said.
 */
export const RECORD_HEADER = 24;
export const RM_XLOG = 0;
export const RM_XACT = 1;
export const XLOG_SWITCH = 0x40;
const CHECKPOINT_SHUTDOWN = 0x00;
const CHECKPOINT_ONLINE = 0x10;
const PARAMETER_CHANGE = 0x60;
const RESTORE_POINT = 0x70;
/** Of both resource managers' info: the lower bits are the record's own. */
const INFO_MASK = 0xf0;
const OPERATION_MASK = 0x70;
const ABORT = 0x20;
const COMMIT_PREPARED = 0x30;
const ABORT_PREPARED = 0x40;
/** commit, abort, commit prepared, abort prepared: each starts with its timestamp. */
const ENDINGS = new Set([0x00, ABORT, COMMIT_PREPARED, ABORT_PREPARED]);
const HAS_INFO = 0x80;
const BLOCK_TOPLEVEL_XID = 252;
const BLOCK_ORIGIN = 253;
const BLOCK_DATA_LONG = 254;
const BLOCK_DATA_SHORT = 255;
const EPOCH_MICROS = 946_684_800_000_000;
/** Beyond the year 2200 we have lost our way. */
const LATEST_MICROS = 7_258_118_400_000_000;
/** XLOG_PAGE_MAGIC of 17, without its family: identifiers of statistics are wider behind it. */
const MAGIC_17 = 0x16;

/** A record that says something about where a recovery can stop or go on. `lsn` is its first byte. */
export type WalMark = { lsn: bigint } &
  /** `subxids` only where the whole record is read. */
  (
    | { kind: 'end'; xid: number; committed: boolean; micros?: number; subxids?: number[] }
    | { kind: 'restore-point'; name: string; micros: number }
    | { kind: 'parameters'; walLevel: number }
    /** The next transaction to begin, 64 bits. */
    | { kind: 'checkpoint'; nextXid: bigint }
  );

/** 0 is minimal (xlog.h, WalLevel). */
export const WAL_LEVEL_MINIMAL = 0;

interface Head {
  manager: number;
  info: number;
}

export function headOf(bytes: Buffer, at: number): Head & { total: number } {
  return { total: bytes.readUInt32LE(at), info: bytes[at + 16] as number, manager: bytes[at + 17] as number };
}

export function endsTransaction({ manager, info }: Head): boolean {
  return manager === RM_XACT && ENDINGS.has(info & OPERATION_MASK);
}

/** True when what a record says stands beyond its first bytes. */
export function isToldByAll({ manager, info }: Head): boolean {
  if (manager === RM_XACT) return isPrepared(info);
  const kind = info & INFO_MASK;
  const isCheckpoint = kind === CHECKPOINT_SHUTDOWN || kind === CHECKPOINT_ONLINE;
  return manager === RM_XLOG && (isCheckpoint || kind === PARAMETER_CHANGE || kind === RESTORE_POINT);
}

function isPrepared(info: number): boolean {
  const operation = info & OPERATION_MASK;
  return operation === COMMIT_PREPARED || operation === ABORT_PREPARED;
}

/** Timestamp at the start of the main data of a record that ends a transaction: they refer to no blocks. */
export function endTime(head: Buffer, at: number): number | undefined {
  const data = mainData(head.subarray(at));
  return data && data.length >= 8 ? timeAt(data, 0) : undefined;
}

/** What a whole record says; undefined for one that says nothing of interest. `magic` is the lower byte of its page's. */
export function markOf(record: Buffer, lsn: bigint, magic: number): WalMark | undefined {
  const head = headOf(record, 0);
  const data = mainData(record);
  if (!data) return undefined;
  if (head.manager === RM_XLOG) return xlogMark(head.info & INFO_MASK, data, lsn);
  if (isPrepared(head.info)) return preparedMark(head.info, data, { lsn, magic });
  return { ...endMark(record, 0, lsn), subxids: subxidsOf(head.info, data) } as WalMark;
}

/** They stand behind the database, in front of everything else (xact.h, xl_xact_subxacts). */
function subxidsOf(info: number, data: Buffer): number[] {
  if ((info & HAS_INFO) === 0 || data.length < 12) return [];
  const has = data.readUInt32LE(8);
  if ((has & HAS_SUBXACTS) === 0) return [];
  const at = 12 + (has & HAS_DATABASE ? 8 : 0);
  const count = at + 4 <= data.length ? data.readInt32LE(at) : 0;
  const held = Math.min(count, Math.floor((data.length - at - 4) / 4));
  return Array.from({ length: Math.max(0, held) }, (_, index) => data.readUInt32LE(at + 4 + 4 * index));
}

/** The end of a transaction that was not prepared; its first bytes say it all. */
export function endMark(bytes: Buffer, at: number, lsn: bigint): WalMark {
  const { info } = headOf(bytes, at);
  const committed = (info & OPERATION_MASK) !== ABORT;
  return { kind: 'end', lsn, xid: bytes.readUInt32LE(at + 4), committed, ...timed(endTime(bytes, at)) };
}

function timed(micros: number | undefined): { micros?: number } {
  return micros === undefined ? {} : { micros };
}

function xlogMark(kind: number, data: Buffer, lsn: bigint): WalMark | undefined {
  if (kind === RESTORE_POINT && data.length > 8) {
    const end = data.indexOf(0, 8);
    const name = data.toString('utf8', 8, end < 0 ? data.length : end);
    return { kind: 'restore-point', lsn, name, micros: timeAt(data, 0) ?? 0 };
  }
  if (kind === PARAMETER_CHANGE && data.length >= 24)
    return { kind: 'parameters', lsn, walLevel: data.readInt32LE(20) };
  const isCheckpoint = kind === CHECKPOINT_SHUTDOWN || kind === CHECKPOINT_ONLINE;
  if (isCheckpoint && data.length >= 32) return { kind: 'checkpoint', lsn, nextXid: data.readBigUInt64LE(24) };
  return undefined;
}

const HAS_DATABASE = 1;
const HAS_SUBXACTS = 2;
const HAS_TWO_PHASE = 16;
/** What may stand in front of the transaction's number, each a count and so many items: bit, bytes of an item. */
const LISTS: readonly [bit: number, itemBytes: number][] = [
  [2, 4],
  [4, 12],
  [256, 12],
  [8, 16],
];
const HAS_DROPPED_STATS = 256;

/** The record's own number is that of whoever ended it, who may have none. */
function preparedMark(info: number, data: Buffer, at: { lsn: bigint; magic: number }): WalMark | undefined {
  if ((info & HAS_INFO) === 0 || data.length < 12) return undefined;
  const has = data.readUInt32LE(8);
  if ((has & HAS_TWO_PHASE) === 0) return undefined;
  let offset = 12 + (has & HAS_DATABASE ? 8 : 0);
  for (const [bit, itemBytes] of LISTS) {
    if ((has & bit) === 0) continue;
    if (offset + 4 > data.length) return undefined;
    const bytes = bit === HAS_DROPPED_STATS && at.magic > MAGIC_17 ? 16 : itemBytes;
    offset += 4 + data.readInt32LE(offset) * bytes;
  }
  if (offset + 4 > data.length) return undefined;
  const committed = (info & OPERATION_MASK) === COMMIT_PREPARED;
  const subxids = subxidsOf(info, data);
  const xid = data.readUInt32LE(offset);
  return {
    kind: 'end',
    lsn: at.lsn,
    xid,
    committed,
    ...timed(timeAt(data, 0)),
    ...(subxids.length > 0 ? { subxids } : {}),
  };
}

/** Main data of a record without blocks, as far as `record` has it. */
function mainData(record: Buffer): Buffer | undefined {
  const total = record.readUInt32LE(0);
  let at = RECORD_HEADER;
  if (record[at] === BLOCK_ORIGIN) at += 3;
  if (record[at] === BLOCK_TOPLEVEL_XID) at += 5;
  if (record[at] !== BLOCK_DATA_SHORT && record[at] !== BLOCK_DATA_LONG) return undefined;
  at += record[at] === BLOCK_DATA_SHORT ? 2 : 5;
  return record.subarray(at, Math.min(total, record.length));
}

function timeAt(data: Buffer, at: number): number | undefined {
  const micros = Number(data.readBigInt64LE(at)) + EPOCH_MICROS;
  return micros > 0 && micros < LATEST_MICROS ? micros : undefined;
}
