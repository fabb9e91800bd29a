import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverSchema } from '../../activities/io/postgres/connection.ts';
import { plainRun } from '../../activities/io/run.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { Patience } from '../../activities/sources/postgres/wal/patience.ts';
import { Receiver } from '../../activities/sources/postgres/wal/receiver.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { parseLsn } from '../../workflows/model/lsn.ts';

const SEGMENT = 16 << 20;

const CONNECTION = { host: 'db', user: 'lifeboat' };

test('the server is told of nothing before it has sent something: it may no longer have what we ask for', () => {
  const receiver = new Receiver({
    options: { ...postgresSchema.parse({ connection: CONNECTION }), connection: serverSchema.parse(CONNECTION) },
    ship: { shipEveryMs: 1000, heartbeatEveryMs: 0, spoolBytes: 1 << 20, slot: 'lifeboat_shop' },
    vault: {} as WalVault,
    run: plainRun(),
    patience: new Patience(),
    identity: {
      ...{ kind: 'postgres', systemId: '7', serverVersion: 180004, timeline: 1 },
      ...{ segmentBytes: SEGMENT, sizeBytes: 1 },
    },
    resume: { timeline: 1, startLsn: '0/1000000', durableLsn: '0/1000500', pieces: [] },
    onDurable: () => undefined,
    chunkBytes: SEGMENT,
  });
  assert.equal(receiver.flushed, 0n);
  void receiver.take(parseLsn('0/1000000'), Buffer.alloc(64), 1n);
  assert.equal(receiver.flushed, parseLsn('0/1000500'));
});
