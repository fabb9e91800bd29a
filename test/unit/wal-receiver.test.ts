import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { serverSchema } from '../../activities/io/postgres/connection.ts';
import { plainRun } from '../../activities/io/run.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import type { Before } from '../../activities/sources/postgres/wal/before.ts';
import { storedBefore } from '../../activities/sources/postgres/wal/before.ts';
import { Patience } from '../../activities/sources/postgres/wal/patience.ts';
import type { Streaming } from '../../activities/sources/postgres/wal/receiver.ts';
import { Receiver } from '../../activities/sources/postgres/wal/receiver.ts';
import type { WalPiece, WalVault } from '../../activities/sources/source.ts';
import { parseLsn } from '../../workflows/model/lsn.ts';
import { holeOf } from '../../workflows/model/wal-hole.ts';

const SEGMENT = 16 << 20;

const CONNECTION = { host: 'db', user: 'lifeboat' };

const IDENTITY = {
  ...{ kind: 'postgres', systemId: '7', serverVersion: 180004, timeline: 1 },
  ...{ segmentBytes: SEGMENT, sizeBytes: 1 },
};

function receiverOf(at: Pick<Streaming, 'vault' | 'resume'> & { before?: Before[] }): Receiver {
  return new Receiver({
    ...at,
    options: { ...postgresSchema.parse({ connection: CONNECTION }), connection: serverSchema.parse(CONNECTION) },
    ship: { shipEveryMs: 1000, heartbeatEveryMs: 0, spoolBytes: 1 << 20, slot: 'lifeboat_shop' },
    run: plainRun(),
    patience: new Patience(),
    identity: IDENTITY,
    onDurable: () => undefined,
    chunkBytes: SEGMENT,
  });
}

test('the server is told of nothing before it has sent something: it may no longer have what we ask for', () => {
  const resume = { timeline: 1, startLsn: '0/1000000', durableLsn: '0/1000500', pieces: [] };
  const receiver = receiverOf({ vault: {} as WalVault, resume });
  assert.equal(receiver.flushed, 0n);
  void receiver.take(parseLsn('0/1000000'), Buffer.alloc(64), 1n);
  assert.equal(receiver.flushed, parseLsn('0/1000500'));
});

const PAGE = 8192;

/** A page of WAL: where it is, what of a record goes on in it, and what follows; segments begin with a long header. */
function page(address: bigint, { goesOn, rest }: { goesOn: number; rest: Buffer }): Buffer {
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

test('a record that begins in front of the stream is heard: WAL of level minimal is not kept behind it', async () => {
  const start = parseLsn('0/2000000');
  const [minimal, replica] = [parameters(0), parameters(1)];
  const head = 32;
  const room = PAGE - 24 - head;
  const first = page(start - BigInt(PAGE), {
    goesOn: room,
    rest: Buffer.concat([Buffer.alloc(room), minimal.subarray(0, head)]),
  });
  const second = page(start, { goesOn: 54 - head, rest: Buffer.concat([minimal.subarray(head), replica]) });

  // All that the vault has of it stands at the end of an object.
  const object = {
    ...{ key: 'k', systemId: '7', timeline: 1, storedBytes: 1 },
    ...{ startLsn: '0/1FFC000', endLsn: '0/2000000' },
  };
  const put: string[] = [];
  const vault = {
    list: () => Promise.resolve([object]),
    read: () => Promise.resolve(Buffer.concat([Buffer.alloc(PAGE), first])),
    put: ({ startLsn }: WalPiece) => Promise.resolve((put.push(startLsn), 'stored')),
  } as unknown as WalVault;
  const resume = { timeline: 1, startLsn: '0/2000000', durableLsn: '0/2000000', pieces: [] };
  const before = await storedBefore({ vault, resume, run: plainRun() }, '7');
  assert.deepEqual(before, [{ start: start - BigInt(PAGE), bytes: first }]);

  const receiver = receiverOf({ vault, resume, before });
  await receiver.take(start, second, 1n);
  await receiver.ended();
  const told = await Promise.race([receiver.broken.catch((error: unknown) => error), immediate(undefined)]);
  assert.deepEqual(holeOf(told), { systemId: '7', timeline: 1, from: '0/2000000', to: '0/2000040' });
  assert.deepEqual(put, []);
});
