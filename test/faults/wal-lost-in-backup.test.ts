import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Config } from '../../activities/config/index.ts';
import type { NeededWal } from '../../activities/backup.ts';
import { createActivities } from '../../activities/index.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { holeOf } from '../../workflows/model/wal-hole.ts';
import { gapsOf, rangesOf } from '../../workflows/model/wal-coverage.ts';
import { SHIP } from '../support/recovery.ts';
import type { Shipped } from '../support/wal-stream.ts';
import { covers, failureOf, flushed, FORGETFUL, load, loseWal, ship, until, withWal } from '../support/wal-stream.ts';

function configOf({ server, place }: Shipped): Config {
  const { slot, shipEveryMs, heartbeatEveryMs, spoolBytes } = SHIP;
  const shop = {
    ...{ kind: 'postgres', store: 'local', options: { connection: server.connection } },
    backup: { level: 3, checkpoint: 'fast' as const, partBytes: 1 << 20, parallel: 2, chainLimit: 14 },
    wal: { slot, shipEveryMs, synchronous: false, heartbeatEveryMs, spoolBytes, newBaseAfterHole: true },
    ...{ schedule: {}, objectives: {}, notify: [] },
  };
  return {
    ...{ path: 'lifeboat.yml', name: 'test', temporal: { address: '', namespace: '' } },
    keys: { root: { file: '' }, signing: { file: '' }, trusted: [] },
    stores: { local: { kind: 'filesystem', options: { path: place.root } } },
    ...{ notifiers: {}, switches: {}, services: {}, sources: { shop } },
  };
}

/** A backup that waits for its WAL, as a worker runs it; `looked` resolves when it has seen the vault once. */
function waitingBackup(at: Shipped, need: NeededWal): { ended: Promise<void>; looked: Promise<unknown> } {
  const { clock, log } = plainRun();
  const activities = createActivities({
    ...{ config: configOf(at), host: 'db1', tool: 'test', clock, log, searchAttributes: false },
    loadKeys: () => Promise.resolve(at.place.keys),
  });
  const worker = new MockActivityEnvironment();
  const looked = new Promise((resolve) => {
    worker.on('heartbeat', (progress: { phase: string }) => progress.phase === 'waiting for WAL' && resolve(progress));
  });
  const ended = worker.run(activities.awaitWal, { source: 'shop', need }) as Promise<void>;
  ended.catch(() => undefined);
  return { ended, looked: Promise.race([looked, ended]) };
}

/** One upload after the other, and all of them stay: whoever looks finds what comes first behind a hole before what follows it. */
function inOrder(wal: WalVault): WalVault {
  let last: Promise<unknown> = Promise.resolve();
  const put: WalVault['put'] = (piece, bytes) => {
    const stored = last.then(() => wal.put(piece, bytes));
    last = stored.catch(() => undefined);
    return stored;
  };
  return { ...wal, put, remove: () => Promise.resolve() };
}

test('a hole that opens while a backup waits for its WAL ends that wait, and is named', async () => {
  await withWal({ version: 18, settings: FORGETFUL }, async (at) => {
    const first = ship(at.server, at.wal);
    await load(at.server, 1000);
    const startLsn = await flushed(at.server);
    await load(at.server, 1000);
    await covers(first, at);
    await first.stop();
    await load(at.server, 1000);
    const need = { systemId: at.id, timeline: 1, startLsn, stopLsn: await flushed(at.server) };
    const backup = waitingBackup(at, need);
    await backup.looked;
    await loseWal(at.server);
    const passHole = holeOf(await failureOf(ship(at.server, at.wal), at));
    assert.ok(passHole);
    const second = ship(at.server, inOrder(at.wal), { ship: { passHole } });
    await load(at.server, 1000);
    await covers(second, at);
    await assert.rejects(backup.ended, (error) => {
      assert.equal(failureTypeOf(error), 'Integrity', String(error));
      const { expected, found, hint } = failureFacts(error);
      assert.equal(expected, `WAL from ${startLsn} to ${need.stopLsn}`);
      assert.equal(found, `a hole from ${passHole.from} to ${passHole.to}`);
      assert.match(hint ?? '', /lifeboat backup shop/);
      return true;
    });
  });
});

test('a hole that an overtaken upload leaves is none: the backup waits until it is filled', async () => {
  await withWal({ version: 18 }, async (at) => {
    const gate = Promise.withResolvers<void>();
    let puts = 0;
    const put: WalVault['put'] = async (piece, bytes) => {
      if (++puts === 2) await gate.promise;
      return at.wal.put(piece, bytes);
    };
    const stream = ship(at.server, { ...at.wal, put });
    await load(at.server, 100);
    const startLsn = await flushed(at.server);
    await covers(stream, at);
    await until(stream, async () => {
      await load(at.server, 100);
      return gapsOf(rangesOf(await at.wal.list({ systemId: at.id }))).length > 0;
    });
    const need = { systemId: at.id, timeline: 1, startLsn, stopLsn: await flushed(at.server) };
    const backup = waitingBackup(at, need);
    await backup.looked;
    gate.resolve();
    await backup.ended;
  });
});

test('a timeline that is left before the end of a backup ends its wait; one that is left behind it does not', async () => {
  await withWal({ version: 18 }, async (at) => {
    const stream = ship(at.server, at.wal);
    await load(at.server, 100);
    const fork = await flushed(at.server);
    await covers(stream, at);
    await stream.stop();
    await load(at.server, 100);
    const stopLsn = await flushed(at.server);
    const need = { systemId: at.id, timeline: 1, startLsn: fork, stopLsn };
    const backup = waitingBackup(at, need);
    await backup.looked;
    // As the stream keeps it when it has gone over to the server that was promoted; the backup is one of the old primary.
    await at.wal.putHistory(at.id, 2, Buffer.from(`1\t${fork}\tno recovery target specified\n`));
    await assert.rejects(backup.ended, (error) => {
      assert.equal(failureTypeOf(error), 'Integrity', String(error));
      assert.match(String(error), new RegExp(`timeline 1 of shop was left at ${fork}, the backup ends at ${stopLsn}`));
      assert.match(failureFacts(error).hint ?? '', /lifeboat backup shop/);
      return true;
    });
    await waitingBackup(at, { ...need, startLsn: '0/1000000', stopLsn: fork }).ended;
  });
});
