/**
 * Rows of a catalog, read out of the pages of its file: storage/bufpage.h, access/htup_details.h, the same in 15 to 18. Of a
 * row only the fixed columns at its front are wanted, and none of them is ever null.
 */
const PAGE_HEADER = 24;
const ITEM_BYTES = 4;
const ITEM_NORMAL = 1;
const XMIN_COMMITTED = 0x0100;
const XMIN_INVALID = 0x0200;
const XMIN_FROZEN = XMIN_COMMITTED | XMIN_INVALID;
const XMAX_COMMITTED = 0x0400;
const XMAX_INVALID = 0x0800;
const XMAX_IS_MULTI = 0x1000;
const XMAX_LOCK_ONLY = 0x0080;
const NAME_BYTES = 64;

/** Whether a transaction has committed. */
export type HasCommitted = (xid: number) => boolean;

/** The rows of one page that a session would see once every transaction that had not ended is given up. */
export function* rowsOf(page: Buffer, hasCommitted: HasCommitted): Iterable<Buffer> {
  const lower = page.readUInt16LE(12);
  for (let at = PAGE_HEADER; at + ITEM_BYTES <= Math.min(lower, page.length); at += ITEM_BYTES) {
    const item = page.readUInt32LE(at);
    const [offset, flags, length] = [item & 0x7fff, (item >>> 15) & 3, item >>> 17];
    if (flags !== ITEM_NORMAL || offset + length > page.length || length < PAGE_HEADER) continue;
    const row = page.subarray(offset, offset + length);
    if (isLive(row, hasCommitted)) yield row.subarray(row[22]);
  }
}

function isLive(row: Buffer, hasCommitted: HasCommitted): boolean {
  const mask = row.readUInt16LE(20);
  if ((mask & XMIN_FROZEN) === XMIN_INVALID) return false;
  if ((mask & XMIN_FROZEN) === 0 && !hasCommitted(row.readUInt32LE(0))) return false;
  // Several lockers: an update among them would have left a newer version, which is read as well.
  if (mask & (XMAX_INVALID | XMAX_LOCK_ONLY | XMAX_IS_MULTI)) return true;
  if (mask & XMAX_COMMITTED) return false;
  const xmax = row.readUInt32LE(4);
  return xmax === 0 || !hasCommitted(xmax);
}

export function nameAt(row: Buffer, at: number): string {
  const end = row.indexOf(0, at);
  return row.subarray(at, end < 0 ? at + NAME_BYTES : Math.min(end, at + NAME_BYTES)).toString();
}

const MAP_MAGIC = 0x592717;
const MAPPING_BYTES = 8;

/** File nodes of catalogs that stand in no catalog: pg_filenode.map (utils/cache/relmapper.c). */
export function mappedNodes(map: Buffer): Map<number, number> {
  const nodes = new Map<number, number>();
  if (map.length < 8 || map.readInt32LE(0) !== MAP_MAGIC) return nodes;
  const count = map.readInt32LE(4);
  for (let at = 8; at + MAPPING_BYTES <= map.length && nodes.size < count; at += MAPPING_BYTES)
    nodes.set(map.readUInt32LE(at), map.readUInt32LE(at + 4));
  return nodes;
}
