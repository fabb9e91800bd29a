import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { valueOf, withRestored, withScene } from '../support/recovery.ts';
import type { Scene } from '../support/recovery.ts';
import { newest, released, ship, withWal } from '../support/wal-stream.ts';

const COMMITS = 40;
const WRITERS = 4;
const WRITES = 150;
/** Only commits make anything go out. */
const SHIP = { synchronous: true, shipEveryMs: 3_600_000, heartbeatEveryMs: 0 };
const WAIT_FOR_US = `alter system set synchronous_standby_names = 'lifeboat'`;

/** Ids whose insert was acknowledged, until the server is gone. */
async function writeUntilGone({ server }: Scene, first: number, acknowledged: number[]): Promise<void> {
  const session = await server.connect();
  session.on('error', () => undefined);
  try {
    for (let id = first; ; id += WRITERS) {
      await session.query(`insert into t values (${id})`);
      acknowledged.push(id);
    }
  } catch {
    // The server was killed.
  } finally {
    await session.end().catch(() => undefined);
  }
}

test('when a commit returns, its WAL is in the store', async () => {
  await withWal({ version: 18 }, async ({ server, wal, id }) => {
    ship(server, wal, { ship: SHIP });
    await server.sql(WAIT_FOR_US);
    await server.sql('select pg_reload_conf()');
    const session = await server.connect();
    try {
      for (let commits = 0; commits < COMMITS; commits++) {
        await session.query('begin');
        await session.query('insert into t (body) values (1)');
        const { rows } = await session.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
        await session.query('commit');
        // The commit's own record stands behind it.
        assert.ok(compareLsn(await newest(wal, id), rows[0]?.lsn ?? '') > 0, `commit ${commits} is not in the vault`);
      }
    } finally {
      await session.end();
    }
  });
});

test('a commit that waits for the vault is there when the server and its disk are gone', async () => {
  await withScene({ version: 18, ship: SHIP }, async (scene) => {
    const { server } = scene;
    await server.sql('create table t (id int primary key)');
    await server.sql(WAIT_FOR_US);
    await server.sql('select pg_reload_conf()');
    const acknowledged: number[] = [];
    const writers = Array.from({ length: WRITERS }, (_, first) => writeUntilGone(scene, first, acknowledged));
    while (acknowledged.length < WRITES) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.stop('immediate');
    await Promise.all(writers);
    await withRestored(scene, { target: { kind: 'latest' } }, async ({ sql }) => {
      const found = new Set((await sql('select id from t')).map((row) => Number(row['id'])));
      assert.deepEqual(
        acknowledged.filter((id) => !found.has(id)),
        [],
        `lost of ${acknowledged.length}`,
      );
      assert.ok(found.size <= acknowledged.length + WRITERS, 'more than what was asked for');
    });
  });
});

test('commits wait while nothing streams, and go on when it does', async () => {
  await withWal({ version: 15 }, async ({ server, wal }) => {
    const first = ship(server, wal, { ship: SHIP });
    await server.sql(WAIT_FOR_US);
    await server.sql('select pg_reload_conf()');
    await server.sql('insert into t (body) values (1)');
    await first.stop();
    await released(server);
    const waiting = server.sql('insert into t (body) values (2)');
    const waits = `select count(*) from pg_stat_activity where wait_event = 'SyncRep'`;
    while ((await valueOf(server.sql, waits)) !== '1');
    ship(server, wal, { ship: SHIP });
    await waiting;
  });
});
