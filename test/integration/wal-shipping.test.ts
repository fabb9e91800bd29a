import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { assembleSegment, createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import type { ShipOptions, WalVault } from '../../activities/sources/source.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn, formatLsn, parseLsn, parseSegmentName, segmentStart } from '../../workflows/model/lsn.ts';
import type { WalHole } from '../../workflows/model/wal.ts';
import { holeOf } from '../../workflows/model/wal-hole.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { withPostgres } from '../support/postgres.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { testVault } from '../support/vault.ts';

const SHIP: ShipOptions = {
  shipEveryMs: 100,
  heartbeatEveryMs: 0,
  spoolBytes: 64 << 20,
  slot: 'lifeboat_shop',
};

interface Shipping {
  stop(): Promise<void>;
  ended: Promise<unknown>;
}

function startShipping(server: TestPostgres, vault: WalVault, ship: Partial<ShipOptions> = {}): Shipping {
  const stopper = new AbortController();
  const options = postgresSchema.parse({ connection: server.connection });
  const log = createLogShipping('shop', options, plainRun({ signal: stopper.signal }));
  const ended = log.ship(vault, { ...SHIP, ...ship });
  ended.catch(() => undefined);
  stoppers.push(stopper);
  return {
    ended,
    stop: async () => {
      stopper.abort(new Error('stopped'));
      await ended;
    },
  };
}

const stoppers: AbortController[] = [];

/** Whatever a test fails with, its streams end. */
afterEach(() => {
  for (const stopper of stoppers.splice(0)) stopper.abort(new Error('test is over'));
});

async function systemId(server: TestPostgres): Promise<string> {
  return String((await server.sql('select system_identifier::text as id from pg_control_system()'))[0]?.['id']);
}

async function flushLsn(server: TestPostgres): Promise<string> {
  return String((await server.sql('select pg_current_wal_flush_lsn()::text as lsn'))[0]?.['lsn']);
}

/** Waits until the vault covers `lsn`; the shipping ending first is a failure of the test. */
async function covered(server: TestPostgres, at: { vault: WalVault; shipping: Shipping }, lsn: string): Promise<void> {
  const id = await systemId(server);
  for (;;) {
    const end = rangesOf(await at.vault.list({ systemId: id })).at(-1)?.endLsn ?? '0/0';
    if (compareLsn(end, lsn) >= 0) return;
    const ended = await Promise.race([
      at.shipping.ended.then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, 20, false)),
    ]);
    assert.ok(!ended, 'shipping ended');
  }
}

async function load(server: TestPostgres, rows: number): Promise<string> {
  await server.sql('create table if not exists t (id serial, body text)');
  await server.sql(`insert into t (body) select repeat(md5(g::text), 8) from generate_series(1, ${rows}) g`);
  return flushLsn(server);
}

/** Every segment the vault can give equals the server's own file, as far as the vault claims to know it. */
async function equalsServer(server: TestPostgres, vault: WalVault): Promise<number> {
  const id = await systemId(server);
  const objects = await vault.list({ systemId: id });
  const [range] = rangesOf(objects);
  assert.ok(range);
  const segmentBytes = Number((await server.sql('select bytes_per_wal_segment as n from pg_control_init()'))[0]?.['n']);
  const histories = await vault.histories(id);
  let compared = 0;
  for (const name of (await readdir(join(server.dataDir, 'pg_wal'))).sort()) {
    const segment = parseSegmentName(name, segmentBytes);
    if (!segment || segment.timeline !== range.timeline) continue;
    const start = formatLsn(segment.start);
    const mine = await assembleSegment(vault, objects, { timeline: segment.timeline, start, segmentBytes, histories });
    if (!mine || compareLsn(start, range.startLsn) < 0) continue;
    const known = Math.min(Number(parseLsn(range.endLsn) - segment.start), segmentBytes);
    const theirs = await readFile(join(server.dataDir, 'pg_wal', name));
    assert.ok(mine.subarray(0, known).equals(theirs.subarray(0, known)), name);
    compared += known;
  }
  return compared;
}

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: what is in the vault is byte for byte what the server wrote, and whole chunks replace pieces`, async () => {
    await withPostgres({ version }, async (server) => {
      await withTempDir(async (dir) => {
        await using vault = await (await testVault(dir)).open();
        const shipping = startShipping(server, vault.wal);
        let lsn = '0/0';
        for (let round = 0; round < 6; round++) lsn = await load(server, 20_000);
        await covered(server, { vault: vault.wal, shipping }, lsn);
        // While it ships, pieces that were listed may be compacted before they are read.
        await shipping.stop();
        assert.ok((await equalsServer(server, vault.wal)) > 30e6);
        const objects = await vault.wal.list({ systemId: await systemId(server) });
        const last = segmentStart(parseLsn(objects.at(-1)?.endLsn ?? '0/0'), 16 << 20);
        const pieces = objects.filter(
          (object) => parseLsn(object.endLsn) <= last && parseLsn(object.endLsn) - parseLsn(object.startLsn) < 16 << 20,
        );
        assert.deepEqual(pieces, []);
        assert.ok(
          objects.every(
            (object) =>
              object.lastCommitMicros === undefined || Math.abs(object.lastCommitMicros / 1000 - Date.now()) < 120_000,
          ),
        );
      });
    });
  });
}

test('a restart goes on without a hole and stores nothing twice', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await withTempDir(async (dir) => {
      await using vault = await (await testVault(dir)).open();
      for (let round = 0; round < 3; round++) {
        const shipping = startShipping(server, vault.wal);
        const lsn = await load(server, 15_000);
        await covered(server, { vault: vault.wal, shipping }, lsn);
        await shipping.stop();
      }
      const ranges = rangesOf(await vault.wal.list({ systemId: await systemId(server) }));
      assert.equal(ranges.length, 1);
      await equalsServer(server, vault.wal);
    });
  });
});

test('a dropped slot whose WAL is gone is a hole: said plainly, then accepted', async () => {
  await withPostgres(
    { version: 18, settings: { max_wal_size: '64MB', min_wal_size: '32MB', wal_keep_size: '0' } },
    async (server) => {
      await withTempDir(async (dir) => {
        await using vault = await (await testVault(dir)).open();
        const first = startShipping(server, vault.wal);
        await covered(server, { vault: vault.wal, shipping: first }, await load(server, 5_000));
        await first.stop();
        await waitInactive(server);
        await server.sql(`select pg_drop_replication_slot('lifeboat_shop')`);
        for (let round = 0; round < 5; round++) {
          await load(server, 40_000);
          await server.sql('select pg_switch_wal()');
          await server.sql('checkpoint');
        }
        let passHole: WalHole | undefined;
        await assert.rejects(startShipping(server, vault.wal).ended, (error) => {
          assert.equal(failureTypeOf(error), 'Integrity');
          assert.match(String(error), /is lost.*lifeboat backup/s);
          passHole = holeOf(error);
          return true;
        });
        assert.ok(passHole);
        const again = startShipping(server, vault.wal, { passHole });
        await covered(server, { vault: vault.wal, shipping: again }, await load(server, 5_000));
        await again.stop();
        assert.equal(rangesOf(await vault.wal.list({ systemId: await systemId(server) })).length, 2);
      });
    },
  );
});

async function waitInactive(server: TestPostgres): Promise<void> {
  const client = await server.connect();
  try {
    for (let active = true; active;) {
      active =
        (await client.query(`select active from pg_replication_slots where slot_name = 'lifeboat_shop'`)).rows[0]
          ?.active === true;
    }
  } finally {
    await client.end();
  }
}

test('another server that writes the same timeline is refused', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await withTempDir(async (dir) => {
      await using vault = await (await testVault(dir)).open();
      const shipping = startShipping(server, vault.wal);
      await covered(server, { vault: vault.wal, shipping }, await load(server, 3_000));
      await shipping.stop();
      const id = await systemId(server);
      const last = (await vault.wal.list({ systemId: id })).at(-1);
      assert.ok(last);
      const bytes = await vault.wal.read(last);
      await vault.wal.remove(last);
      await vault.wal.put({ ...last, systemId: id }, Buffer.from(bytes.map((byte) => byte ^ 1)));
      await waitInactive(server);
      await load(server, 3_000);
      await assert.rejects(startShipping(server, vault.wal).ended, (error) => failureTypeOf(error) === 'Integrity');
    });
  });
});

test('an idle cluster commits a heartbeat, and its time is in the vault', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await withTempDir(async (dir) => {
      await using vault = await (await testVault(dir)).open();
      const since = Date.now() * 1000;
      const shipping = startShipping(server, vault.wal, { heartbeatEveryMs: 100 });
      const id = await systemId(server);
      for (let newest = 0; newest < since + 300_000;) {
        const commits = (await vault.wal.list({ systemId: id })).map((object) => object.lastCommitMicros ?? 0);
        newest = Math.max(0, ...commits);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await shipping.stop();
    });
  });
});

test('commit times are those pg_waldump prints', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await withTempDir(async (dir) => {
      await using vault = await (await testVault(dir)).open();
      const shipping = startShipping(server, vault.wal, { shipEveryMs: 50 });
      await load(server, 40_000);
      const lsn = await load(server, 100);
      await covered(server, { vault: vault.wal, shipping }, lsn);
      await shipping.stop();
      const [range] = rangesOf(await vault.wal.list({ systemId: await systemId(server) }));
      assert.ok(range);
      const dump = spawnSync(
        join(server.binaries, 'pg_waldump'),
        ['-p', join(server.dataDir, 'pg_wal'), '-s', range.startLsn, '-e', range.endLsn, '-r', 'Transaction'],
        { encoding: 'utf8' },
      ).stdout;
      const times = [...dump.matchAll(/(?:COMMIT|ABORT) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) UTC/g)].map(
        (match) => `${match[1]?.replace(' ', 'T')}Z`,
      );
      assert.equal(range.lastCommitAt, times.sort().at(-1));
    });
  });
});
