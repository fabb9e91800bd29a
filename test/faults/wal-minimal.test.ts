import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { holeOf, isBehind } from '../../workflows/model/wal-hole.ts';
import type { WalRange } from '../../workflows/model/wal.ts';
import { SHIP, valueOf } from '../support/recovery.ts';
import type { TestPostgres } from '../support/postgres.ts';
import type { Shipped } from '../support/wal-stream.ts';
import { covers, flushed, load, newest, released, ship, withWal } from '../support/wal-stream.ts';

async function restartWith(server: TestPostgres, settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await server.sql(`alter system set ${name} = '${value}'`);
  await server.stop();
  await server.start();
}

/** A server forgets our slot to be allowed wal_level = minimal, writes, and comes back. */
async function writeAtMinimal({ server }: Shipped): Promise<void> {
  await released(server);
  await server.sql(`select pg_drop_replication_slot('${SHIP.slot}')`);
  await restartWith(server, { wal_level: 'minimal', max_wal_senders: '0' });
  await server.sql('create table bulk as select g as id from generate_series(1, 1000) g');
  await restartWith(server, { wal_level: 'replica', max_wal_senders: '10' });
}

const ranges = async ({ wal, id }: Shipped): Promise<WalRange[]> => rangesOf(await wal.list({ systemId: id }));

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: WAL of wal_level = minimal is a hole, although the server has all of it`, async () => {
    await withWal({ version, settings: { wal_keep_size: '1GB' } }, async (at) => {
      const stream = ship(at.server, at.wal);
      await load(at.server, 1000);
      await covers(stream, at);
      await stream.stop();
      const before = await flushed(at.server);
      await writeAtMinimal(at);

      const refused = ship(at.server, at.wal);
      const error = await refused.ended.catch((reason: unknown) => reason);
      assert.equal(failureTypeOf(error), 'Integrity', String(error));
      assert.match(String(error), /was written with wal_level = minimal.*new base: lifeboat backup/s);
      const hole = holeOf(error);
      assert.ok(hole && compareLsn(hole.from, before) >= 0 && compareLsn(hole.to, hole.from) > 0);
      assert.equal(await newest(at.wal, at.id), hole.from, 'what came before it is kept');

      // Whoever was not told does not pass it, however often he asks.
      assert.deepEqual(holeOf(await ship(at.server, at.wal).ended.catch((reason: unknown) => reason)), hole);
      for (const rows of [1000, 1]) {
        const passing = ship(at.server, at.wal, { ship: { passHole: hole } });
        await load(at.server, rows);
        await covers(passing, at);
        await passing.stop();
        const [first, second, ...more] = await ranges(at);
        assert.deepEqual([first?.endLsn, second?.startLsn, more], [hole.from, hole.to, []]);
      }
      // A stream that begins again in the same segment does not bring back what was left out.
      const again = ship(at.server, at.wal);
      await load(at.server, 60_000);
      await covers(again, at);
      await again.stop();
      assert.deepEqual((await ranges(at)).map(({ startLsn }) => startLsn).at(-1), hole.to);
      const redo = await valueOf(at.server.sql, `select lsn::text from pg_backup_start('test', true) as lsn`);
      assert.ok(isBehind({ timeline: 1, startLsn: redo }, hole), 'the next base begins behind it');
    });
  });
}
