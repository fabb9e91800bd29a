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
import { cutAt, PAGE, SEGMENT } from '../support/wal-pages.ts';

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

test('a record that begins in front of the stream is heard: WAL of level minimal is not kept behind it', async () => {
  const start = parseLsn('0/2000000');
  const { first, second } = cutAt(start);

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
