import assert from 'node:assert/strict';
import { chown, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { failure, failureTypeOf } from '../../workflows/model/failure.ts';
import { formatLsn, parseSegmentName } from '../../workflows/model/lsn.ts';
import { rangesOf } from '../../workflows/model/wal-coverage.ts';
import { plainRun } from '../../activities/io/run.ts';
import { assembleSegment } from '../../activities/sources/postgres/wal/index.ts';
import { checkSource } from '../../activities/sources/postgres/check-servers.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import { recoveryOptions, valueOf } from '../support/recovery.ts';
import { serverUser } from '../support/postgres.ts';
import { heldThreads } from '../support/vault.ts';
import type { Archiving } from '../support/wal-archive.ts';
import { switched, untilArchived, untilListening, withArchiving } from '../support/wal-archive.ts';
import { load } from '../support/wal-stream.ts';

heldThreads();

const SEGMENT = 2 ** 24;
const isSegment = (name: string): boolean => /^[0-9A-F]{24}$/.test(name);

/** Every segment that the server's own copies have, up to `last`, is in the vault, byte by byte. */
async function sameAsCopies({ wal, id, copies }: Archiving, last: string): Promise<number> {
  const objects = await wal.list({ systemId: id });
  const histories = await wal.histories(id);
  const names = (await readdir(copies)).filter((name) => isSegment(name) && name <= last).sort();
  for (const name of names) {
    const { timeline, start } = parseSegmentName(name, SEGMENT) ?? { timeline: 0, start: 0n };
    const query = { timeline, start: formatLsn(start), segmentBytes: SEGMENT, histories };
    const stored = await assembleSegment(wal, objects, query);
    assert.ok(stored?.equals(await readFile(join(copies, name))), `${name} differs`);
  }
  return names.length;
}

for (const version of [15, 18]) {
  test(`archive_command on ${version}: every file is in the vault before the server lets go of it`, async (t) => {
    await withArchiving(version, async (at) => {
      const { server, wal, id, push } = at;
      let agent = at.agent();
      let last = '';
      await t.test('many segments in a row, with the time of their newest commit', async () => {
        await load(server, 250_000);
        last = await switched(server);
        await untilArchived(server, last, agent);
        assert.ok((await sameAsCopies(at, last)) >= 4);
        const ranges = rangesOf(await wal.list({ systemId: id }));
        assert.equal(ranges.length, 1);
        const clock = await valueOf(server.sql, 'select extract(epoch from clock_timestamp()) * 1000');
        const behindMs = Number(clock) - Date.parse(ranges[0]?.lastCommitAt ?? '1970-01-01');
        assert.ok(behindMs > 0 && behindMs < 600_000, `${behindMs}`);
      });
      await t.test('a duplicate is fine; other bytes, another cluster, other names are not', async () => {
        const same = await push(await at.foreign(last, (bytes) => bytes));
        assert.deepEqual(same, { code: 0, said: '' });
        const refused: [string, (bytes: Buffer) => Buffer, RegExp][] = [
          ['a segment cut short', (bytes) => bytes.subarray(0, 8192), /its length/],
          ['another version', (bytes) => (bytes.writeUInt16LE(0xd0ff, 0), bytes), /its version/],
        ];
        for (const [what, change, said] of refused) {
          const { code, said: heard } = await push(await at.foreign(last, change));
          assert.equal(code, 1, what);
          assert.match(heard, said, what);
          assert.equal(failureTypeOf(await agent.ended.catch((error: unknown) => error)), 'Precondition', what);
          agent = at.agent();
          await untilListening(at, agent);
        }
        const odd = join(at.copies, `${last}.renamed`);
        assert.match((await push(odd)).said, /is no file that PostgreSQL archives/);
        assert.equal(failureTypeOf(await agent.ended.catch((error: unknown) => error)), 'ConfigInvalid');
        agent = at.agent();
        await untilListening(at, agent);
        const stranger = await push(await at.foreign(last, (bytes) => (bytes.writeBigUInt64LE(1n, 24), bytes)));
        assert.match(stranger.said, /its system identifier/);
        assert.equal(failureTypeOf(await agent.ended.catch((error: unknown) => error)), 'Precondition');
        agent = at.agent();
        await untilListening(at, agent);
        const other = await push(
          await at.foreign(last, (bytes) => (bytes.writeUInt8((bytes[9000] ?? 0) ^ 1, 9000), bytes)),
        );
        assert.equal(other.code, 1);
        assert.match(other.said, /is not what .* holds/);
        assert.equal(failureTypeOf(await agent.ended.catch((error: unknown) => error)), 'Integrity');
        assert.ok((await sameAsCopies(at, last)) >= 4);
      });
      await t.test('no worker: the helper says so, and the server keeps the file until there is one', async () => {
        await agent.stop();
        const waiting = await switched(server);
        const { code, said } = await push(join(at.copies, last));
        assert.equal(code, 1);
        assert.match(said, /no worker listens at .*PostgreSQL keeps the file/);
        assert.equal((await readdir(join(server.dataDir, 'pg_wal'))).includes(waiting), true);
        agent = at.agent();
        await untilArchived(server, waiting, agent);
        last = waiting;
        await sameAsCopies(at, last);
      });
      await t.test('a store that is down: nothing is acknowledged that is not durable', async () => {
        await agent.stop();
        const store = { down: true };
        agent = at.agent(unreliable(wal, store));
        await untilListening(at, agent);
        const name = await switched(server);
        const { code, said } = await push(await at.foreign(last, (bytes) => bytes));
        assert.deepEqual([code, /store is away/.test(said)], [1, true]);
        assert.equal(await isStored(at, name), false);
        store.down = false;
        await untilArchived(server, name, agent);
        assert.equal(await isStored(at, name), true);
        last = name;
      });
      await t.test('a backup leaves its history file under its name', async () => {
        const client = await server.connect();
        await client.query(`select pg_backup_start('x', true)`);
        await client.query(`select pg_backup_stop()`);
        await client.end();
        const [file = ''] = (await readdir(at.copies)).filter((name) => name.endsWith('.backup'));
        assert.match(file, /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/);
        assert.ok(await at.place.store.stat(`shop/wal/${id}/files/${file}`));
        assert.deepEqual(await push(join(server.dataDir, 'pg_wal', file)), { code: 0, said: '' });
      });
      await t.test('a promotion: history, unfinished segment and the new timeline', async () => {
        await server.stop();
        const signal = join(server.dataDir, 'standby.signal');
        await writeFile(signal, '');
        const { uid, gid } = serverUser();
        if (uid !== undefined && gid !== undefined) await chown(signal, uid, gid);
        await server.start();
        await server.sql('select pg_promote()');
        const name = await switched(server);
        assert.match(name, /^00000002/);
        await untilArchived(server, name, agent);
        const [history] = await wal.histories(id);
        assert.deepEqual([history?.timeline, history?.ancestors[0]?.timeline], [2, 1]);
        const partial = (await readdir(at.copies)).filter((each) => each.endsWith('.partial'));
        assert.equal(partial.length, 1);
        for (const each of partial) assert.ok(await at.place.store.stat(`shop/wal/${id}/files/${each}`));
        await sameAsCopies(at, name);
      });
      await t.test('doctor: what keeps the archiver from handing its files to us', async () => {
        const asked = async (): Promise<string> => {
          const checks = await checkSource(recoveryOptions(server), plainRun(), { archive: true });
          const found = checks.find((check) => check.name === 'archiving to us');
          return found?.ok ? 'ok' : (found?.found ?? 'nothing');
        };
        const set = async (name: string, value: string): Promise<void> => {
          await server.sql(`alter system set ${name} = '${value}'`);
          await server.sql('select pg_reload_conf()');
          while ((await valueOf(server.sql, `select setting from pg_settings where name = '${name}'`)) !== value);
        };
        assert.equal(await asked(), 'ok');
        await set('archive_command', '"/opt/our tools/lifeboat-wal-push-x86_64" /run/s %p');
        assert.equal(await asked(), 'ok');
        await set('archive_library', 'basic_archive');
        assert.match(await asked(), /archive_library = basic_archive is set beside archive_command/);
        await set('archive_library', '');
        await set('archive_command', 'cp %p /srv/%f');
        assert.match(await asked(), /archive_command is cp %p/);
        await server.sql('alter system set archive_mode = off');
        await server.stop();
        await server.start();
        assert.equal(await asked(), 'archive_mode = off');
      });
    });
  });
}

function unreliable(wal: WalVault, store: { down: boolean }): WalVault {
  return {
    ...wal,
    put: (piece, bytes) =>
      store.down ? Promise.reject(failure('Unavailable', 'store is away')) : wal.put(piece, bytes),
  };
}

async function isStored({ wal, id }: Archiving, name: string): Promise<boolean> {
  const { timeline, start } = parseSegmentName(name, SEGMENT) ?? { timeline: 0, start: 0n };
  const objects = await wal.list({ systemId: id, timeline });
  return objects.some(({ startLsn }) => startLsn === formatLsn(start));
}
