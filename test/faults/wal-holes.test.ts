import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn, parseLsn } from '../../workflows/model/lsn.ts';
import type { WalHole } from '../../workflows/model/wal.ts';
import { holeOf } from '../../workflows/model/wal-hole.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { Shipped, WalStream } from '../support/wal-stream.ts';
import {
  covers,
  failureOf,
  FORGETFUL,
  load,
  loseWal,
  newest,
  released,
  ship,
  until,
  withWal,
} from '../support/wal-stream.ts';

/** The hole that a stream ends with, said plainly. */
async function refusedHole(stream: WalStream, at: Shipped): Promise<WalHole> {
  const error = await failureOf(stream, at);
  assert.equal(failureTypeOf(error), 'Integrity', String(error));
  assert.match(String(error), /is lost.*new base: lifeboat backup.*max_slot_wal_keep_size/s);
  const hole = holeOf(error);
  assert.ok(hole);
  return hole;
}

async function shipped(at: Shipped): Promise<void> {
  const stream = ship(at.server, at.wal);
  await load(at.server, 1000);
  await covers(stream, at);
  await stream.stop();
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a slot that max_slot_wal_keep_size invalidated is a hole; only what was told is passed`, async () => {
    await withWal({ version, settings: FORGETFUL }, async (at) => {
      await shipped(at);
      await loseWal(at.server);
      const hole = await refusedHole(ship(at.server, at.wal), at);
      assert.deepEqual(
        { ...hole, to: '' },
        { systemId: at.id, timeline: 1, from: await newest(at.wal, at.id), to: '' },
      );
      // What was asked for in vain does not lead the slot away from what it keeps.
      assert.deepEqual(await refusedHole(ship(at.server, at.wal), at), hole);
      const smaller = { ...hole, to: formatLsn(parseLsn(hole.to) - 1n) };
      assert.deepEqual(await refusedHole(ship(at.server, at.wal, { ship: { passHole: smaller } }), at), hole);

      const first = ship(at.server, at.wal, { ship: { passHole: hole } });
      await load(at.server, 1000);
      await covers(first, at);
      await first.stop();
      assert.equal(rangesOf(await at.wal.list({ systemId: at.id })).length, 2);

      await loseWal(at.server);
      const later = await refusedHole(ship(at.server, at.wal, { ship: { passHole: hole } }), at);
      assert.equal(later.from, await newest(at.wal, at.id));
      const second = ship(at.server, at.wal, { ship: { passHole: later } });
      await load(at.server, 1000);
      await covers(second, at);
      await second.stop();
      assert.equal(rangesOf(await at.wal.list({ systemId: at.id })).length, 3);
    });
  });
}

test('a stream that breaks behind a hole before anything of it is stored passes the same hole again', async () => {
  await withWal({ version: 18, settings: FORGETFUL }, async (at) => {
    await shipped(at);
    await loseWal(at.server);
    const passHole = await refusedHole(ship(at.server, at.wal), at);
    let refused = 0;
    let away = true;
    const put: typeof at.wal.put = async (piece, bytes) => {
      if (!away) return at.wal.put(piece, bytes);
      refused += 1;
      throw failure('Unavailable', 'store is away', { place: 'store' });
    };
    const stream = ship(at.server, { ...at.wal, put }, { ship: { passHole } });
    for (let broken = 0; broken < 2; broken++) {
      const before = refused;
      await load(at.server, 100);
      await until(stream, () => Promise.resolve(refused > before));
      await at.server.sql('select pg_terminate_backend(pid) from pg_stat_replication');
      await released(at.server);
    }
    away = false;
    await covers(stream, at);
    await stream.stop();
    assert.equal(rangesOf(await at.wal.list({ systemId: at.id })).length, 2);
  });
});
