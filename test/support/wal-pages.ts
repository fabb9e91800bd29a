/** Pages of WAL made by hand (xlog_internal.h), as PostgreSQL 18 writes them. */
export const PAGE = 8192;
export const SEGMENT = 16 << 20;

/** A page of WAL: where it is, what of a record goes on in it, and what follows; segments begin with a long header. */
export function page(address: bigint, { goesOn, rest }: { goesOn: number; rest: Buffer }): Buffer {
  const bytes = Buffer.alloc(PAGE);
  const isFirst = address % BigInt(SEGMENT) === 0n;
  bytes.writeUInt16LE(0xd118, 0);
  bytes.writeUInt16LE((isFirst ? 2 : 0) | (goesOn > 0 ? 1 : 0), 2);
  bytes.writeBigUInt64LE(address, 8);
  bytes.writeUInt32LE(goesOn, 16);
  rest.copy(bytes, isFirst ? 40 : 24);
  return bytes;
}

/** XLOG_PARAMETER_CHANGE, with room up to where the next record begins. */
function parameters(walLevel: number): Buffer {
  const record = Buffer.alloc(56);
  record.writeUInt32LE(54, 0);
  record[16] = 0x60;
  record.set([255, 28], 24);
  record.writeInt32LE(walLevel, 46);
  return record;
}

/** Two pages, the second one at `start`: wal_level goes to minimal in a record that `start` cuts, and back to replica behind it. */
export function cutAt(start: bigint): { first: Buffer; second: Buffer } {
  const [minimal, replica] = [parameters(0), parameters(1)];
  const head = 32;
  const room = PAGE - 24 - head;
  const rest = Buffer.concat([Buffer.alloc(room), minimal.subarray(0, head)]);
  return {
    first: page(start - BigInt(PAGE), { goesOn: room, rest }),
    second: page(start, { goesOn: 54 - head, rest: Buffer.concat([minimal.subarray(head), replica]) }),
  };
}
