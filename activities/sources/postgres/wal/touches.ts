/**
 * What a record of a heap changes. Layouts: src/include/access/xlogrecord.h, heapam_xlog.h and rmgrlist.h, the same in 15 to
 * 18. Blocks stand in front of everything else, so that the first of them is in a record's first bytes.
 */
const RM_HEAP2 = 9;
const RM_HEAP = 10;
const OPERATION_MASK = 0x70;
const MULTI_INSERT = 0x50;
const HEAP: Readonly<Record<number, Change>> = { 0x00: 'inserts', 0x10: 'deletes', 0x20: 'updates', 0x40: 'updates' };
const TRUNCATE = 0x30;
const HIGHEST_BLOCK = 32;
const HAS_IMAGE = 0x10;
const SAME_RELATION = 0x80;
const HAS_HOLE = 0x01;
const IS_COMPRESSED = 0x1c;
const AT = { xid: 4, info: 16, manager: 17, block: 24, flags: 25, after: 28 } as const;
const IMAGE_BYTES = 5;
const PG_GLOBAL = 1664;
const PG_DEFAULT = 1663;

export type Change = 'inserts' | 'updates' | 'deletes';

/** One record of a transaction that changes rows. */
export interface Touch {
  /** 32 bits; of a subtransaction its own. */
  xid: number;
  change: Change;
  /** Path of the relation's first file, in the data directory; that of a tablespace without its version. */
  path: string;
}

/** `head` has all of a record, or its first 64 bytes. Undefined for one that changes no rows. */
export function touchOf(head: Buffer, start: number): Touch | undefined {
  const change = changeOf(head[start + AT.manager] as number, head[start + AT.info] as number);
  const xid = head.readUInt32LE(start + AT.xid);
  if (change === undefined || xid === 0) return undefined;
  if ((head[start + AT.block] as number) > HIGHEST_BLOCK) return undefined;
  const flags = head[start + AT.flags] as number;
  if (flags & SAME_RELATION) return undefined;
  const at = start + AT.after + (flags & HAS_IMAGE ? imageBytes(head[start + AT.after + 4] as number) : 0);
  if (at + 12 > head.length) return undefined;
  const [space, database, node] = [head.readUInt32LE(at), head.readUInt32LE(at + 4), head.readUInt32LE(at + 8)];
  return { xid, change, path: pathOf(space, database, node) };
}

function changeOf(manager: number, info: number): Change | undefined {
  const operation = info & OPERATION_MASK;
  if (manager === RM_HEAP) return operation === TRUNCATE ? undefined : HEAP[operation];
  return manager === RM_HEAP2 && operation === MULTI_INSERT ? 'inserts' : undefined;
}

/** The length of the hole stands there only when the image is compressed. */
function imageBytes(info: number): number {
  return IMAGE_BYTES + ((info & HAS_HOLE) !== 0 && (info & IS_COMPRESSED) !== 0 ? 2 : 0);
}

function pathOf(space: number, database: number, node: number): string {
  if (space === PG_GLOBAL) return `global/${node}`;
  if (space === PG_DEFAULT) return `base/${database}/${node}`;
  return `pg_tblspc/${space}/PG_0_0/${database}/${node}`;
}
