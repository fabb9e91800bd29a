import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn, lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { recoveryOptions } from '../support/recovery.ts';
import type { Shipped, WalStream } from '../support/wal-stream.ts';
import { covers, FORGETFUL, load, newest, released, ship, until, withWal } from '../support/wal-stream.ts';

const SECOND = { ship: { slot: 'lifeboat_shop_2' } };
const SEGMENT = 2 ** 24;

async function faults(at: Shipped): Promise<unknown[]> {
  const log = createLogShipping('shop', recoveryOptions(at.server), plainRun());
  const objects = await at.wal.list({ systemId: at.id });
  const found: unknown[] = [];
  const order = { systemId: at.id, segmentBytes: SEGMENT, objects, histories: [] };
  for await (const { faults: some } of log.check(at.wal, order)) found.push(...some);
  return found;
}

const drop = ({ server, wal }: Shipped, others: string[]): Promise<string> =>
  createLogShipping('shop', recoveryOptions(server), plainRun()).dropSlot(wal, { slot: SECOND.ship.slot, others });

const ranges = async (at: Shipped): Promise<number> => rangesOf(await at.wal.list({ systemId: at.id })).length;

/** Until the slot of the stream has let go of everything that the vault holds. */
async function holds(stream: WalStream, at: Shipped, slot: string): Promise<void> {
  await until(stream, async () => {
    const [row] = await at.server.sql(
      `select flush_lsn::text as lsn from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where slot_name = '${slot}'`,
    );
    return typeof row?.['lsn'] === 'string' && compareLsn(String(row['lsn']), await newest(at.wal, at.id)) >= 0;
  });
}

/** A stream that begins while the server has not noticed the end of the one before is Busy. */
async function free(at: Shipped, slot: string): Promise<void> {
  const active = `select 1 from pg_replication_slots where slot_name = '${slot}' and active`;
  while ((await at.server.sql(active)).length > 0);
}

test('two streams bring the same: whichever dies, nothing is missing, and nothing is stored twice in the end', async () => {
  await withWal({ version: 18 }, async (at) => {
    const [first, second] = [ship(at.server, at.wal), ship(at.server, at.wal, SECOND)];
    await load(at.server, 60_000);
    await covers(first, at);
    const isBusy = (error: unknown): boolean => failureTypeOf(error) === 'Busy';
    await assert.rejects(drop(at, ['lifeboat_shop']), isBusy, 'somebody reads it');
    await first.stop();
    await load(at.server, 60_000);
    await covers(second, at);
    await free(at, 'lifeboat_shop');
    const again = ship(at.server, at.wal);
    await load(at.server, 2000);
    await covers(again, at);
    await holds(again, at, 'lifeboat_shop');
    await second.stop();
    await load(at.server, 60_000);
    await covers(again, at);
    // Uploads overtake each other.
    await until(again, async () => (await ranges(at)) === 1);
    await again.stop();
    assert.equal(await ranges(at), 1);
    assert.deepEqual(await faults(at), []);
    const objects = await at.wal.list({ systemId: at.id });
    const whole = objects.filter(({ startLsn, endLsn }) => lsnDistanceBytes(startLsn, endLsn) === SEGMENT);
    assert.ok(whole.length >= 2);
    assert.equal(new Set(whole.map(({ startLsn }) => startLsn)).size, whole.length);
    // There is to be one stream.
    await free(at, SECOND.ship.slot);
    await assert.rejects(drop(at, ['lifeboat_other']), isBusy, 'no other one keeps WAL');
    await load(at.server, 1000);
    await at.server.sql('checkpoint');
    await at.server.sql(`select pg_create_physical_replication_slot('lifeboat_late', true)`);
    await assert.rejects(drop(at, ['lifeboat_late']), isBusy, 'it keeps WAL from later on than the vault has');
    await at.server.sql(`select pg_drop_replication_slot('lifeboat_late')`);
    assert.deepEqual([await drop(at, ['lifeboat_shop']), await drop(at, ['lifeboat_shop'])], ['dropped', 'absent']);
    const slots = await at.server.sql('select slot_name as name from pg_replication_slots');
    assert.deepEqual(slots, [{ name: 'lifeboat_shop' }]);
  });
});

test('the slot of one is lost while the other streams: that is no hole', async () => {
  await withWal({ version: 18, settings: FORGETFUL }, async (at) => {
    const first = ship(at.server, at.wal);
    await load(at.server, 1000);
    await covers(first, at);
    await first.stop();
    await free(at, 'lifeboat_shop');
    const second = ship(at.server, at.wal, SECOND);
    await load(at.server, 1000);
    await covers(second, at);
    const lost = `select wal_status from pg_replication_slots where slot_name = 'lifeboat_shop'`;
    while ((await at.server.sql(lost))[0]?.['wal_status'] !== 'lost') {
      await load(at.server, 20_000);
      await covers(second, at);
      await at.server.sql('checkpoint');
    }
    const again = ship(at.server, at.wal);
    await load(at.server, 1000);
    await covers(again, at);
    await holds(again, at, 'lifeboat_shop');
    await until(again, async () => (await ranges(at)) === 1);
    for (const stream of [again, second]) await stream.stop();
    await released(at.server);
    assert.equal(await ranges(at), 1);
    assert.deepEqual(await faults(at), []);
  });
});
