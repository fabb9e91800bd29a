import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn, lsnDistanceBytes } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { standbyOf } from '../support/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { covers, flushed, kept, load, newest, released, ship, until, withWal } from '../support/wal-stream.ts';

test('stopped before and after any put, before any status: the next one goes on without hole or conflict', async () => {
  await withWal({ version: 18 }, async (at) => {
    for (let moment = 1; moment <= 6; moment++) {
      let puts = 0;
      let cut = (): void => undefined;
      const dead = new Promise<never>((_resolve, reject) => (cut = () => reject(new Error('killed'))));
      dead.catch(() => undefined);
      // A process that dies in a put never hears of it; odd moments die before it happens, even ones after it.
      const put: WalVault['put'] = async (piece, bytes) => {
        puts += 1;
        if (puts < moment) return at.wal.put(piece, bytes);
        if (moment % 2 === 0) await at.wal.put(piece, bytes);
        cut();
        return dead;
      };
      const stream = ship(at.server, { ...at.wal, put });
      await Promise.race([
        dead.catch(() => undefined),
        until(stream, async () => (await load(at.server, 3000), false)),
      ]);
      await stream.stop();
      await released(at.server);
      const [lsn, end] = [await kept(at.server), await newest(at.wal, at.id)];
      assert.ok(end === '0/0' || compareLsn(lsn, end) <= 0, `slot at ${lsn} is ahead of the vault at ${end}`);
    }
    const last = ship(at.server, at.wal);
    // The load may go on a while: what counts is that nothing is missing up to here, not what overtakes what behind it.
    const lsn = await flushed(at.server);
    const first = async (): Promise<string> => rangesOf(await at.wal.list({ systemId: at.id }))[0]?.endLsn ?? '0/0';
    await until(last, async () => compareLsn(await first(), lsn) >= 0);
    await last.stop();
    assert.ok(compareLsn(await first(), lsn) >= 0);
  });
});

test('killed when a later put was stored and an earlier one was not: the hole is filled, not passed over', async () => {
  await withWal({ version: 18 }, async (at) => {
    let puts = 0;
    const put: WalVault['put'] = (piece, bytes) => {
      puts += 1;
      return puts === 3 ? new Promise(() => undefined) : at.wal.put(piece, bytes);
    };
    const stream = ship(at.server, { ...at.wal, put });
    await until(stream, async () => {
      await load(at.server, 50);
      return rangesOf(await at.wal.list({ systemId: at.id })).length === 2;
    });
    await stream.stop();
    await released(at.server);
    const next = ship(at.server, at.wal);
    await until(next, async () => rangesOf(await at.wal.list({ systemId: at.id })).length === 1);
    await covers(next, at);
    assert.deepEqual(await rangeEnds(at), ['one range']);
  });
});

async function rangeEnds(at: { wal: WalVault; id: string }): Promise<string[]> {
  const ranges = rangesOf(await at.wal.list({ systemId: at.id }));
  return ranges.length === 1
    ? ['one range']
    : ranges.map(({ timeline, startLsn, endLsn }) => `${timeline}: ${startLsn} to ${endLsn}`);
}

test('store away while the database writes: nothing is reported durable, memory is bounded, then all is caught up', async () => {
  await withWal({ version: 15 }, async (at) => {
    let away = false;
    const puts = { refused: 0, underway: 0 };
    const put: WalVault['put'] = async (piece, bytes) => {
      if (away) {
        puts.refused += 1;
        throw failure('Unavailable', 'store is away', { place: 'store' });
      }
      puts.underway += 1;
      return at.wal.put(piece, bytes).finally(() => (puts.underway -= 1));
    };
    const seen: Record<string, string | number>[] = [];
    const clock = {
      ...plainRun().clock,
      sleep: (_ms: number, signal?: AbortSignal) => plainRun().clock.sleep(20, signal),
    };
    const spoolBytes = 8 << 20;
    const stream = ship(
      at.server,
      { ...at.wal, put },
      {
        ship: { spoolBytes },
        run: { clock, progress: ({ counters }) => void seen.push(counters ?? {}) },
      },
    );
    await load(at.server, 1000);
    await covers(stream, at);
    away = true;
    await load(at.server, 1);
    await until(stream, () => Promise.resolve(puts.refused > 0 && puts.underway === 0));
    const before = await newest(at.wal, at.id);
    for (let round = 0; round < 8; round++) await load(at.server, 40_000);
    const written = lsnDistanceBytes(before, await flushed(at.server));
    assert.ok(written > 60e6, `${written} bytes written`);
    // The spool is full when what is held no longer grows from one report to the next.
    const held = (): number => Number(seen.at(-1)?.['lagBytes'] ?? 0);
    await until(stream, async () => {
      const [was, reports] = [held(), seen.length];
      await until(stream, async () => seen.length > reports + 1);
      return was > 0 && held() === was;
    });
    const most = Math.max(...seen.map((counters) => Number(counters['lagBytes'] ?? 0)));
    assert.ok(most <= spoolBytes + (32 << 20), `${most} bytes held`);
    assert.equal(await newest(at.wal, at.id), before);
    assert.ok(compareLsn(await kept(at.server), before) <= 0, 'the server was told of WAL that is not stored');
    away = false;
    await covers(stream, at);
    const ranges = async (): Promise<number> => rangesOf(await at.wal.list({ systemId: at.id })).length;
    // Uploads overtake each other: what is newest may be there before what is in front of it.
    await until(stream, async () => (await ranges()) === 1);
    await stream.stop();
    assert.equal(await ranges(), 1);
  });
});

for (const version of [15, 18]) {
  test(`PostgreSQL ${version}: a standby is promoted under the stream: it follows to the new timeline`, async () => {
    await withWal({ version }, async (at) => {
      await withTempDir(async () => {
        const standby = await standbyOf(at.server, `${at.server.dataDir}-standby`);
        try {
          await load(at.server, 2000);
          const stream = ship(standby, at.wal);
          await covers(stream, at);
          await standby.sql('select pg_promote()');
          await standby.sql(`insert into t (body) values ('after')`);
          await covers(stream, { ...at, server: standby });
          await stream.stop();
          const ranges = rangesOf(await at.wal.list({ systemId: at.id }));
          assert.deepEqual(
            ranges.map(({ timeline }) => timeline),
            [1, 2],
          );
          const [history] = await at.wal.histories(at.id);
          assert.equal(history?.timeline, 2);
          const left = history?.ancestors[0]?.switchLsn ?? '0/0';
          assert.ok(compareLsn(ranges[0]?.endLsn ?? '0/0', left) >= 0, 'the old timeline ends before it was left');
          assert.ok(compareLsn(ranges[1]?.startLsn ?? 'F/0', left) <= 0, 'the new timeline starts late');
        } finally {
          await standby.stop('immediate');
        }
      });
    });
  });
}

test('the server is restarted, and killed, while it is streamed from', async () => {
  await withWal({ version: 18, settings: { fsync: 'on' } }, async (at) => {
    const stream = ship(at.server, at.wal);
    for (const mode of ['fast', 'immediate'] as const) {
      await load(at.server, 20_000);
      await at.server.stop(mode);
      await at.server.start();
      await load(at.server, 1000);
      await covers(stream, at);
    }
    await stream.stop();
    assert.equal(rangesOf(await at.wal.list({ systemId: at.id })).length, 1);
  });
});

test('objects that are stored twice are told apart from two histories', async () => {
  await withWal({ version: 18 }, async (at) => {
    const stream = ship(at.server, at.wal);
    await load(at.server, 3000);
    await covers(stream, at);
    await stream.stop();
    const [object] = await at.wal.list({ systemId: at.id });
    assert.ok(object);
    const bytes = await at.wal.read(object);
    const { timeline, startLsn } = object;
    assert.equal(await at.wal.put({ systemId: at.id, timeline, startLsn }, Buffer.from(bytes)), 'present');
    const other = Buffer.from(bytes);
    other[100] = (other[100] ?? 0) ^ 1;
    await assert.rejects(
      at.wal.put({ systemId: at.id, timeline, startLsn }, other),
      (error) => failureTypeOf(error) === 'Integrity',
    );
  });
});
