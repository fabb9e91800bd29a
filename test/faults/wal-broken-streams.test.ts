import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from '../../activities/io/run.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failure, failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { SHIP } from '../support/recovery.ts';
import { withPostgres } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { covers, load, released, ship, until, withWal } from '../support/wal-stream.ts';

type Progress = Parameters<Run['progress']>[0];

/** A store whose puts wait until they are let go. */
function heldStore(wal: WalVault): { wal: WalVault; underway: () => number; letGo: () => void } {
  const gate = Promise.withResolvers<void>();
  let underway = 0;
  const put: WalVault['put'] = async (piece, bytes) => {
    underway += 1;
    try {
      await gate.promise;
      return await wal.put(piece, bytes);
    } finally {
      underway -= 1;
    }
  };
  return { wal: { ...wal, put }, underway: () => underway, letGo: gate.resolve };
}

test('a stream that broke has ended its uploads when the next one begins', async () => {
  await withWal({ version: 18 }, async (at) => {
    const store = heldStore(at.wal);
    const besides: number[] = [];
    const list: WalVault['list'] = (query) => {
      // Each stream begins with a look at the vault.
      if (query.timeline === undefined) besides.push(store.underway());
      if (besides.length > 1) store.letGo();
      return at.wal.list(query);
    };
    const progress = ({ phase, note = '' }: Progress): void => {
      if (phase === 'waiting' && note.includes('uploads')) store.letGo();
    };
    const stream = ship(at.server, { ...store.wal, list }, { run: { progress } });
    await load(at.server, 1000);
    await until(stream, () => Promise.resolve(store.underway() > 0));
    await at.server.sql('select pg_terminate_backend(pid) from pg_stat_replication');
    await until(stream, () => Promise.resolve(besides.length > 1));
    await load(at.server, 1000);
    await covers(stream, at);
    await stream.stop();
    assert.deepEqual(besides, [0, 0]);
  });
});

test('nothing lands in the store when the shipping has ended', async () => {
  await withWal({ version: 18 }, async (at) => {
    const store = heldStore(at.wal);
    const stream = ship(at.server, store.wal);
    await load(at.server, 1000);
    await until(stream, () => Promise.resolve(store.underway() > 0));
    let isOver = false;
    const stopped = stream.stop().then(() => (isOver = true));
    await released(at.server);
    // Time for a wrong end to show itself; the right one waits for the store.
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 200))]);
    assert.equal(isOver, false);
    store.letGo();
    await stopped;
    assert.equal(store.underway(), 0);
  });
});

test('a store that never answers keeps nobody from stopping', async () => {
  await withWal({ version: 18 }, async (at) => {
    const store = heldStore(at.wal);
    const stream = ship(at.server, store.wal);
    await load(at.server, 1000);
    await until(stream, () => Promise.resolve(store.underway() > 0));
    await stream.stop();
    assert.ok(store.underway() > 0);
    store.letGo();
  });
});

test('what keeps a stream from going on is said as what it is: the store, or the database', async () => {
  await withWal({ version: 18 }, async (at) => {
    const notes: string[] = [];
    const progress = ({ phase, note = '' }: Progress): void => void (phase === 'waiting' && notes.push(note));
    let isAway = true;
    const list: WalVault['list'] = (query) => {
      if (isAway) return Promise.reject(failure('Unavailable', 'store offsite is away'));
      return at.wal.list(query);
    };
    const stream = ship(at.server, { ...at.wal, list }, { run: { progress } });
    await until(stream, () => Promise.resolve(notes.length > 0));
    assert.deepEqual([...new Set(notes)], ['it is tried again: store offsite is away']);
    isAway = false;
    notes.length = 0;
    await covers(stream, at);
    await at.server.stop();
    await until(stream, () =>
      Promise.resolve(notes.some((note) => note.includes(`postgres 127.0.0.1:${at.server.port}`))),
    );
    assert.ok(
      notes.every((note) => !note.includes('store')),
      notes.join(),
    );
    await at.server.start();
    await covers(stream, at);
  });
});

test('a walsender of another cluster than SQL reaches is refused, and nothing is done there', async () => {
  await withWal({ version: 18 }, async (at) => {
    await withPostgres({ version: 18 }, async (other) => {
      for (const hasSlot of [false, true]) {
        if (hasSlot) {
          for (const { sql } of [at.server, other])
            await sql(`select pg_create_physical_replication_slot('${SHIP.slot}', true)`);
        }
        await using proxy = await startTcpProxy(`127.0.0.1:${at.server.port}`);
        const [, port] = proxy.address.split(':');
        const balanced = { ...at.server, connection: { ...at.server.connection, port: Number(port) } };
        const list: WalVault['list'] = (query) => {
          proxy.lead(`127.0.0.1:${other.port}`);
          return at.wal.list(query);
        };
        await assert.rejects(ship(balanced, { ...at.wal, list }).ended, (error) => {
          assert.equal(failureTypeOf(error), 'Precondition', String(error));
          assert.match(String(error), /another cluster/);
          assert.equal(failureFacts(error).expected, `system identifier ${at.id}`);
          return true;
        });
        assert.deepEqual(await at.wal.list({ systemId: at.id }), []);
        const slots = await other.sql('select active from pg_replication_slots');
        assert.deepEqual(slots, hasSlot ? [{ active: false }] : []);
      }
    });
  });
});

/** A clock on which every pause is over at once, and counted. */
function hastyClock(): Run['clock'] {
  let nowMs = Date.now();
  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    nowMs += ms;
    await new Promise((resolve) => setTimeout(resolve, 5));
    signal?.throwIfAborted();
  };
  return { nowMs: () => nowMs, sleep };
}

test('a database or a store that stays away ends the stream: only then do people hear of it', async () => {
  await withWal({ version: 18 }, async (at) => {
    const away = failure('Unavailable', 'store offsite is away');
    let tries = 0;
    const put: WalVault['put'] = () => Promise.reject((tries++, away));
    const refused = ship(at.server, { ...at.wal, put }, { run: { clock: hastyClock() } });
    await load(at.server, 1000);
    await assert.rejects(refused.ended, (error) => /store offsite is away/.test(String(error)));
    assert.ok(tries > 3, `${tries} tries`);
    await covers(ship(at.server, at.wal), at);

    const cut = ship(at.server, at.wal, { run: { clock: hastyClock() } });
    await at.server.stop();
    await assert.rejects(cut.ended, (error) => failureTypeOf(error) === 'Unavailable');
  });
});

test('one object that the store never takes ends the stream too, though all others get through', async () => {
  await withWal({ version: 18 }, async (at) => {
    let cursed: string | undefined;
    const put: WalVault['put'] = (piece, bytes) => {
      cursed ??= piece.startLsn;
      if (piece.startLsn === cursed) return Promise.reject(failure('Unavailable', `${cursed} is not taken`));
      return at.wal.put(piece, bytes);
    };
    const stream = ship(at.server, { ...at.wal, put }, { run: { clock: hastyClock() } });
    await load(at.server, 1000);
    await assert.rejects(stream.ended, (error) => /is not taken/.test(String(error)));
    await covers(ship(at.server, at.wal), at);
  });
});
