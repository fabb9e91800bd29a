import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { commitsFrom } from '../../activities/sources/postgres/wal/commits.ts';
import type { Commit } from '../../workflows/model/last-good.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { valueOf, withScene } from '../support/recovery.ts';

test('the stored WAL lists what was committed behind a position: each once, in order, and nothing that was not', () =>
  withScene({ settings: { max_prepared_transactions: '5' } }, async ({ server, vault, guard }) => {
    const client = await server.connect();
    try {
      const xidOf = async (): Promise<string> => {
        const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
        return rows[0]?.xid ?? '';
      };
      await client.query('create table orders (id int)');
      const fromLsn = await valueOf(server.sql, 'select pg_current_wal_insert_lsn()::text');
      const committed: string[] = [];
      const aborted: string[] = [];
      for (let id = 0; id < 200; id++) {
        await client.query('begin');
        await client.query('insert into orders values ($1)', [id]);
        await client.query('savepoint inside; insert into orders values (-1)');
        (id % 4 === 3 ? aborted : committed).push(await xidOf());
        await client.query(id % 4 === 3 ? 'rollback' : 'commit');
        if (id === 100) await client.query('select pg_switch_wal()');
      }
      await client.query(`begin; insert into orders values (7)`);
      committed.push(await xidOf());
      await client.query(`prepare transaction 'one'`);
      await client.query(`commit prepared 'one'`);
      await guard.caughtUp();
      const { systemId, timeline, segmentBytes } = guard.point;
      const listOf = async (search: { fromLsn: string; toLsn?: string }): Promise<Commit[]> => {
        const found: Commit[] = [];
        for await (const batch of commitsFrom(vault.wal, { systemId, timeline, segmentBytes, ...search }, plainRun()))
          found.push(...batch);
        return found;
      };
      const all = await listOf({ fromLsn });
      const ours = new Set([...committed, ...aborted]);
      // Heartbeats of the shipping commit, too.
      assert.deepEqual(all.map(({ xid }) => xid).filter((xid) => ours.has(xid)), committed); // prettier-ignore
      assert.equal(new Set(all.map(({ lsn }) => lsn)).size, all.length);
      for (const [index, commit] of all.entries())
        assert.ok(compareLsn(commit.lsn, all[index - 1]?.lsn ?? fromLsn) >= 0 && commit.at !== undefined);
      // Each inserted once itself and once in a savepoint; the prepared one once.
      const path = await valueOf(server.sql, `select pg_relation_filepath('orders')`);
      const insertsOf = (xid: string): number => (xid === committed.at(-1) ? 1 : 2);
      assert.deepEqual(
        all.filter(({ xid }) => ours.has(xid)).map(({ relations }) => relations),
        committed.map((xid) => [{ relation: path, inserts: insertsOf(xid), updates: 0, deletes: 0 }]),
      );
      const beforeLsn = await valueOf(server.sql, 'select pg_current_wal_insert_lsn()::text');
      await client.query('begin; update orders set id = id + 1000 where id between 0 and 6; savepoint inside');
      await client.query('delete from orders; rollback to inside; delete from orders where id = 1000');
      const changing = await xidOf();
      await client.query('commit');
      await guard.caughtUp();
      const changed = (await listOf({ fromLsn: beforeLsn })).find(({ xid }) => xid === changing);
      assert.deepEqual(changed?.relations, [{ relation: path, inserts: 0, updates: 6, deletes: 1 }]);
      const middle = all[Math.floor(all.length / 2)];
      assert.ok(middle);
      const behind = await listOf({ fromLsn: middle.lsn });
      const before = await listOf({ fromLsn, toLsn: middle.lsn });
      assert.deepEqual(behind[0], middle);
      assert.equal(before.at(-1)?.lsn, all[before.length - 1]?.lsn);
      assert.ok(before.every(({ lsn }) => compareLsn(lsn, middle.lsn) < 0));
    } finally {
      await client.end();
    }
  }));
