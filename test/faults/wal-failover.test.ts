import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import { createLogShipping } from '../../activities/sources/postgres/wal/index.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { SHIP } from '../support/recovery.ts';
import { caughtUp, withStandby } from '../support/standby.ts';
import type { Shipped, WalStream } from '../support/wal-stream.ts';
import { flushed, load, until, withWal } from '../support/wal-stream.ts';

/** A stream of a cluster of several servers, which are looked at often. */
function shipOf(servers: TestPostgres[], { wal }: Shipped): WalStream {
  const [first] = servers;
  assert.ok(first);
  const host = servers.map(({ port }) => `127.0.0.1:${port}`);
  const options = postgresSchema.parse({ connection: { ...first.connection, host } });
  const stopper = new AbortController();
  const run = plainRun({ signal: stopper.signal });
  const ended = createLogShipping('shop', options, run).ship(wal, { ...SHIP, lookEveryMs: 200 });
  ended.catch(() => undefined);
  return {
    ended,
    stop: async () => {
      stopper.abort(new Error('stopped'));
      await ended.catch(() => undefined);
    },
  };
}

/** How far the vault holds one timeline. */
async function heldOn({ wal, id }: Shipped, timeline: number): Promise<string> {
  return rangesOf(await wal.list({ systemId: id, timeline })).at(-1)?.endLsn ?? '0/0';
}

async function reaches(stream: WalStream, at: Shipped, timeline: number): Promise<void> {
  const lsn = await flushed(at.server);
  await until(stream, async () => compareLsn(await heldOn(at, timeline), lsn) >= 0);
}

test('a stream goes over to the standby that was promoted, although the old primary writes on, and never back', async () => {
  await withWal({ version: 18, settings: { wal_keep_size: '1GB' } }, (at) =>
    withStandby(at.server, {}, async (standby) => {
      const { server, wal, id } = at;
      const stream = shipOf([server, standby], at);
      try {
        await load(server, 1000);
        await reaches(stream, at, 1);
        await caughtUp(server, standby);
        await standby.sql('select pg_promote()');
        // Written on by the old primary, which nobody has stopped: it stays on the timeline that was left.
        await load(server, 1000);
        await load(standby, 1000);
        await reaches(stream, { ...at, server: standby }, 2);
        const history = (await wal.histories(id)).find(({ timeline }) => timeline === 2);
        const fork = history?.ancestors[0]?.switchLsn ?? '';
        assert.ok(compareLsn(await heldOn(at, 1), fork) >= 0, 'everything up to the fork is there');
        const left = await heldOn(at, 1);
        await load(server, 1000);
        await load(standby, 1000);
        await reaches(stream, { ...at, server: standby }, 2);
        assert.equal(await heldOn(at, 1), left, 'nothing more comes from the old primary');
        assert.equal(rangesOf(await wal.list({ systemId: id, timeline: 2 })).length, 1);
      } finally {
        await stream.stop();
      }
      // Only the old primary is left: it is refused, not followed back.
      await standby.stop('immediate');
      const back = shipOf([server], at);
      const error = await back.ended.catch((reason: unknown) => reason);
      assert.equal(failureTypeOf(error), 'Integrity', String(error));
      assert.match(String(error), /vault holds WAL that server .* does not know/);
    }),
  );
});

test('a stream from a standby goes on through its promotion: nothing is missing before it or behind it', async () => {
  await withWal({ version: 18 }, (at) =>
    withStandby(at.server, {}, async (standby) => {
      const { server, wal, id } = at;
      const stream = shipOf([standby], at);
      try {
        await load(server, 1000);
        await reaches(stream, at, 1);
        await load(server, 1000);
        await caughtUp(server, standby);
        await standby.sql('select pg_promote()');
        await load(standby, 1000);
        await reaches(stream, { ...at, server: standby }, 2);
      } finally {
        await stream.stop();
      }
      const [history, ...others] = await wal.histories(id);
      assert.deepEqual([history?.timeline, others], [2, []]);
      const fork = history?.ancestors[0]?.switchLsn ?? '';
      for (const timeline of [1, 2]) {
        const [range, ...more] = rangesOf(await wal.list({ systemId: id, timeline }));
        assert.deepEqual(more, [], `holes on timeline ${timeline}`);
        assert.ok(range && compareLsn(range.startLsn, fork) <= 0 && compareLsn(range.endLsn, fork) >= 0);
      }
    }),
  );
});
