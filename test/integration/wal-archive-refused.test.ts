import assert from 'node:assert/strict';
import { appendFile, chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../activities/io/clock.ts';
import type { Clock } from '../../activities/io/clock.ts';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { compareLsn } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { holeOf, isBehind } from '../../workflows/model/wal-hole.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { run, serverIn, withServerDir } from '../support/postgres.ts';
import { valueOf } from '../support/recovery.ts';
import { heldThreads } from '../support/vault.ts';
import type { Agent } from '../support/wal-archive.ts';
import { switched, untilArchived, untilListening, withArchiving } from '../support/wal-archive.ts';

heldThreads();

/** A running copy of a server with its settings, its archive_command among them. */
async function withCopy(server: TestPostgres, callback: (copy: TestPostgres) => Promise<void>): Promise<void> {
  await withServerDir(async (dir) => {
    const data = join(dir, 'data');
    const from = ['-h', '127.0.0.1', '-p', String(server.port), '-U', 'postgres'];
    await run(join(server.binaries, 'pg_basebackup'), ['-D', data, ...from, '--checkpoint=fast', '--no-sync']);
    const port = await freePort();
    await appendFile(join(data, 'postgresql.auto.conf'), `port = ${port}\nunix_socket_directories = '${dir}'\n`);
    const copy = serverIn(dir, { ...server, port });
    await copy.start();
    try {
      await callback(copy);
    } finally {
      await copy.stop('immediate');
    }
  });
}

async function refusal({ ended }: Agent, otherwise: Promise<unknown>): Promise<unknown> {
  return Promise.race([ended.catch((error: unknown) => error), otherwise.then(() => 'it was taken')]);
}

test('a copy of the cluster on the same host does not archive into the vault of its origin', async () => {
  await withArchiving(18, async (at) => {
    const { server } = at;
    let agent = at.agent();
    await untilArchived(server, await switched(server), agent);
    await withCopy(server, async (copy) => {
      const name = await switched(copy);
      const error = await refusal(agent, untilArchived(copy, name, agent));
      assert.equal(failureTypeOf(error), 'Precondition', String(error));
      assert.ok(String(error).includes(`${copy.dataDir}, not in ${server.dataDir}`), String(error));
    });
    agent = at.agent();
    const last = await switched(server);
    await untilArchived(server, last, agent);
    const later = await at.foreign(last, (bytes) => bytes, last.replace(/^0000000./, '00000009'));
    const { code, said } = await at.push(later);
    assert.equal(code, 1);
    assert.match(said, /its timeline 9 is above the server's/);
    assert.equal(failureTypeOf(await agent.ended.catch((error: unknown) => error)), 'Precondition');
    agent = at.agent();
    await untilListening(at, agent);
    assert.deepEqual(await at.push(await at.foreign(last, (bytes) => bytes)), { code: 0, said: '' });
  });
});

async function restartWith(server: TestPostgres, settings: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await server.sql(`alter system set ${name} = '${value}'`);
  await server.stop();
  await server.start();
}

test('WAL of wal_level = minimal in an archived segment is a hole, and the server gets rid of the segment', async () => {
  await withArchiving(18, async (at) => {
    const { server, wal, id } = at;
    let agent = at.agent();
    await untilArchived(server, await switched(server), agent);
    await server.sql('create table kept as select 1');
    const before = await valueOf(server.sql, 'select pg_current_wal_flush_lsn()');
    await restartWith(server, { archive_mode: 'off', wal_level: 'minimal', max_wal_senders: '0' });
    await server.sql('create table bulk as select g as id from generate_series(1, 1000) g');
    const within = await valueOf(server.sql, 'select pg_current_wal_flush_lsn()');
    await agent.stop();
    await restartWith(server, { archive_mode: 'on', wal_level: 'replica', max_wal_senders: '10' });
    const redo = await valueOf(server.sql, `select lsn::text from pg_backup_start('test', true) as lsn`);
    agent = at.agent();
    const name = await switched(server);

    const error = await refusal(agent, untilArchived(server, name, agent));
    assert.match(String(error), /was written with wal_level = minimal.*new base: lifeboat backup/s);
    const hole = holeOf(error);
    assert.ok(hole && compareLsn(hole.from, before) >= 0 && compareLsn(hole.from, within) < 0, hole?.from);
    assert.ok(compareLsn(hole.to, within) >= 0 && isBehind({ timeline: 1, startLsn: redo }, hole), hole.to);

    // Whoever was not told does not let it pass; the server hears success from whoever was.
    const again = at.agent();
    assert.deepEqual(holeOf(await refusal(again, untilArchived(server, name, again))), hole);
    agent = at.agent(wal, { passHole: hole });
    await untilArchived(server, name, agent);
    await untilArchived(server, await switched(server), agent);
    const [first, second, ...more] = rangesOf(await wal.list({ systemId: id }));
    assert.deepEqual([first?.endLsn, second?.startLsn, more], [hole.from, hole.to, []]);
  });
});

/** Whoever sleeps wakes soon, and so much later. */
function hastyClock(): Clock {
  let aheadMs = 0;
  return {
    ...systemClock,
    nowMs: () => systemClock.nowMs() + aheadMs,
    sleep: async (ms, signal) => {
      await systemClock.sleep(20, signal);
      aheadMs += ms;
    },
  };
}

test('a refusal that lasts ends every attempt, until a file is taken; a script may call the helper', async () => {
  await withArchiving(18, async (at) => {
    const { server, wal, copies, socket } = at;
    const script = join(dirname(copies), 'archive.sh');
    await writeFile(script, `#!/bin/sh\nexec ${join(dirname(copies), 'lifeboat-wal-push')} ${socket} "$1"\n`);
    await chmod(script, 0o755);
    await server.sql(`alter system set archive_command = '${script} %p'`);
    await server.sql('select pg_reload_conf()');
    let agent = at.agent();
    await untilArchived(server, await switched(server), agent);
    await agent.stop();
    const put = (): Promise<never> => Promise.reject(failure('Denied', 'the store lets nobody write'));
    const name = await switched(server);
    // The refusal is heard by the first; the others find that it lasts.
    for (const clock of [systemClock, hastyClock(), hastyClock()]) {
      const refusing = at.agent({ ...wal, put }, { clock });
      const error = await refusal(refusing, untilArchived(server, name, refusing));
      assert.equal(failureTypeOf(error), 'Denied', String(error));
    }
    agent = at.agent();
    await untilArchived(server, name, agent);
    await untilArchived(server, await switched(server), agent);
  });
});
