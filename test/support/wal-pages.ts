import { crc32c } from '../../activities/io/crc32c.ts';

/** Pages of WAL made by hand (xlog_internal.h), as PostgreSQL 18 writes them. */
export const PAGE = 8192;
export const SEGMENT = 16 << 20;

/** A page of WAL: where it is, what of a record goes on in it, and what follows; segments begin with a long header. */
export function page(address: bigint, { goesOn, rest }: { goesOn: number; rest: Buffer }): Buffer {
  const bytes = Buffer.alloc(PAGE);
  const isFirst = address % BigInt(SEGMENT) === 0n;
  bytes.writeUInt16LE(0xd118, 0);
  bytes.writeUInt16LE((isFirst ? 2 : 0) | (goesOn > 0 ? 1 : 0), 2);
  bytes.writeUInt32LE(1, 4);
  bytes.writeBigUInt64LE(address, 8);
  bytes.writeUInt32LE(goesOn, 16);
  if (isFirst) {
    bytes.writeBigUInt64LE(7n, 24);
    bytes.writeUInt32LE(SEGMENT, 32);
    bytes.writeUInt32LE(PAGE, 36);
  }
  rest.copy(bytes, isFirst ? 40 : 24);
  return bytes;
}

/** A record of `total` bytes, whose sum is right. A switch has no more than a header. */
function record(total: number, previous: bigint, isSwitch: boolean): Buffer {
  const bytes = Buffer.alloc(total, 'wal');
  bytes.fill(0, 0, 24);
  bytes.writeUInt32LE(total, 0);
  bytes.writeBigUInt64LE(previous, 8);
  bytes[16] = isSwitch ? 0x40 : 0x20;
  bytes[17] = isSwitch ? 0 : 10;
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24))), 20);
  return bytes;
}

/**
 * WAL of timeline 1 of system 7 from `start`, where a record begins, to `end`: one record after the other, of these lengths, cut
 * by pages; behind them zeros.
 */
export function wal(start: bigint, end: bigint, records: readonly (number | 'switch')[]): Buffer {
  const first = start - (start % BigInt(PAGE));
  const bytes = Buffer.alloc(Number(end - first));
  let at = Number(start - first);
  let previous = start - 8n;
  for (const each of records) {
    const whole = record(each === 'switch' ? 24 : each, previous, each === 'switch');
    let began: number | undefined;
    for (let left = whole; left.length > 0;) {
      if (at % PAGE === 0) {
        const address = first + BigInt(at);
        page(address, { goesOn: left === whole ? 0 : left.length, rest: Buffer.alloc(0) }).copy(bytes, at);
        at += address % BigInt(SEGMENT) === 0n ? 40 : 24;
      }
      began ??= at;
      const taken = left.copy(bytes, at, 0, PAGE - (at % PAGE));
      at += taken;
      left = left.subarray(taken);
    }
    previous = first + BigInt(began ?? at);
    at = Math.ceil(at / 8) * 8;
    if (each === 'switch') at += Number(-(first + BigInt(at)) & BigInt(SEGMENT - 1));
  }
  return bytes.subarray(Number(start - first));
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
