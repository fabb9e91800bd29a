import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { open, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../activities/io/clock.ts';
import { connect as connectSql, serverSchema } from '../../activities/io/postgres/connection.ts';
import type { Progress, Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { takeBackup } from '../../activities/sources/postgres/backup/index.ts';
import { lookForDataDirectory } from '../../activities/sources/postgres/backup/local/data-directory.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { memorySink } from '../support/folder-sink.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { makeOwned, withPostgres } from '../support/postgres.ts';
import { verifies } from '../support/verify-backup.ts';

const ORDER = { checkpoint: 'fast', label: 'test' } as const;

interface Taken {
  facts: BackupFacts;
  parts: Map<number, Buffer>;
}

function optionsFor(server: TestPostgres, files: Record<string, unknown>, user?: string): PostgresOptions {
  const connection = { ...server.connection, ...(user === undefined ? {} : { user }) };
  return postgresSchema.parse({ connection, files });
}

async function backup(server: TestPostgres, read: 'local' | 'stream', partBytes = 1 << 20): Promise<Taken> {
  const out = memorySink(partBytes);
  const facts = await takeBackup(optionsFor(server, { read }), { out, backup: ORDER, run: plainRun() });
  return { facts, parts: out.parts };
}

/** Path, type and mode of everything; the length of what nobody writes to. */
function outline({ trees }: BackupFacts): string[] {
  return trees
    .flatMap(({ id, location = '', files }) => [
      `${id} ${location}`,
      ...files.map(({ path, type, mode }) => `${id} ${path} ${type} ${mode.toString(8)}`),
    ])
    .sort();
}

for (const version of [15, 17, 18]) {
  test(`PostgreSQL ${version}: files read here are what the server would send, by its own verdict`, async () => {
    await withPostgres({ version }, async (server) => {
      const place = join(server.dataDir, '..', 'space');
      await makeOwned(place);
      // Links in place of folders that a backup empties.
      for (const name of ['pg_stat_tmp', 'pg_snapshots']) {
        await rename(join(server.dataDir, name), `${place}.${name}`);
        await symlink(`${place}.${name}`, join(server.dataDir, name));
      }
      await server.sql(`create tablespace space location '${place}'`);
      await server.sql(`create table far tablespace space as select generate_series(1, 5000) as x`);
      await server.sql(`create table t as select g, repeat(md5(g::text), 10) as body from generate_series(1, 20000) g`);
      await server.sql('create unlogged table u as select 1 as x');
      await server.sql('create unlogged table v (x int) tablespace space');
      const session = await server.connect();
      try {
        await session.query('create temporary table gone as select 1 as x');
        await server.sql('checkpoint');
        const streamed = await backup(server, 'stream');
        const local = await backup(server, 'local');
        await verifies(server, local);
        assert.deepEqual(outline(local.facts), outline(streamed.facts));
        assert.ok(local.facts.parts.length > 5);
        assert.equal(local.facts.damaged, undefined);
        assert.equal(local.facts.pageChecksums, version === 18);
      } finally {
        await session.end();
      }
    });
  });
}

test('parts smaller than a file split it between pages, and files of odd lengths stay whole', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select repeat('x', 500) from generate_series(1, 5000)`);
    const taken = await backup(server, 'local', 100_000);
    await verifies(server, taken);
    const sliced = taken.facts.trees.flatMap((tree) => tree.files).filter((file) => (file.slices?.length ?? 0) > 2);
    assert.ok(sliced.length > 0);
  });
});

test('a page with a wrong checksum is reported by relation and block, and the rest is kept', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql(`create table t as select g, repeat('x', 500) as body from generate_series(1, 3000) g`);
    await server.sql('checkpoint');
    const [row] = await server.sql(`select pg_relation_filepath('t') as path`);
    const path = String(row?.['path']);
    const file = await open(join(server.dataDir, path), 'r+');
    await file.write(Buffer.from('rotten'), 0, 6, 7 * 8192 + 5000);
    // An LSN from the future would hide a page from the check.
    await file.write(Buffer.from('ffffffffffffff7f', 'hex'), 0, 8, 9 * 8192);
    await file.close();
    const taken = await backup(server, 'local');
    assert.deepEqual(taken.facts.damaged, [
      { tree: 'base', path, block: 7 },
      { tree: 'base', path, lsn: 'FFFFFFFF/7FFFFFFF' },
    ]);
    await verifies(server, taken);
  });
});

test('where the files cannot be read the walsender sends them, unless that is refused', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await server.sql('create role plain login replication');
    await server.sql(
      `grant execute on function pg_control_system(), pg_control_checkpoint(), pg_control_recovery(), pg_control_init() to plain`,
    );
    const attempt = (files: Record<string, unknown>, user?: string): Promise<BackupFacts> =>
      takeBackup(optionsFor(server, files, user), { out: memorySink(), backup: ORDER, run: plainRun() });
    const refused: [Record<string, unknown>, string | undefined, RegExp][] = [
      [{ read: 'local' }, 'plain', /pg_read_all_settings/],
      [{ read: 'local', dataDirectory: server.dataDir }, 'plain', /grant execute on function pg_backup_start/],
      [{ read: 'local', dataDirectory: '/nonexistent' }, undefined, /ENOENT/],
    ];
    for (const [files, user, says] of refused) {
      await assert.rejects(attempt(files, user), (error) => {
        assert.equal(failureTypeOf(error), 'Precondition', String(error));
        assert.match(JSON.stringify(error), says);
        return true;
      });
    }
    const facts = await attempt({ read: 'auto' }, 'plain');
    assert.ok(facts.parts.length > 0);
    await withPostgres({ version: 18 }, async (other) => {
      await assert.rejects(attempt({ read: 'local', dataDirectory: other.dataDir }), (error) => {
        return /files of cluster \d+/.test(String(error));
      });
    });
  });
});

interface How {
  run?: Partial<Run>;
  files?: Record<string, unknown>;
  maxRateBytes?: number;
}

async function localBackup(server: TestPostgres, { run, files, maxRateBytes }: How = {}): Promise<Taken> {
  const out = memorySink();
  const backup = { ...ORDER, ...(maxRateBytes === undefined ? {} : { maxRateBytes }) };
  const options = optionsFor(server, { read: 'local', ...files });
  const facts = await takeBackup(options, { out, backup, run: plainRun(run) });
  return { facts, parts: out.parts };
}

/** Does something while a backup stands still at a point: statements by psql, because it waits for nobody. */
function at(phase: string, act: () => void): Partial<Run> {
  let done = false;
  const isIt = ({ note, phase: now }: Progress): boolean => !done && now === phase && note !== undefined;
  return {
    progress: (update) => {
      if (!isIt(update)) return;
      done = true;
      act();
    },
  };
}

function psql({ binaries, port }: TestPostgres, ...statements: string[]): void {
  const args = ['-h', '127.0.0.1', '-p', `${port}`, '-U', 'postgres', '-v', 'ON_ERROR_STOP=1'];
  const { status, stderr } = spawnSync(join(binaries, 'psql'), [
    ...args,
    ...statements.flatMap((text) => ['-c', text]),
  ]);
  assert.equal(status, 0, String(stderr));
}

function fails(type: string, says: RegExp) {
  return (error: unknown): boolean => {
    assert.equal(failureTypeOf(error), type, String(error));
    assert.match(JSON.stringify(error) + String(error), says);
    return true;
  };
}

test('a tablespace is read whole, whenever it was made, or the backup is refused', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    const place = join(server.dataDir, '..', 'space');
    for (const name of ['', '.new', '.dropped']) await makeOwned(place + name);
    await server.sql(`create tablespace space location '${place}'`);
    await server.sql('create table far tablespace space as select generate_series(1, 5000) as x');
    const [row] = await server.sql(`select oid::text from pg_tablespace where spcname = 'space'`);
    const oid = String(row?.['oid']);

    const early = at('checkpoint', () => {
      psql(server, `create tablespace fresh location '${place}.new'`);
      psql(server, 'create table young tablespace fresh as select 1 as x', 'checkpoint');
    });
    const { facts } = await localBackup(server, { run: early });
    const [young] = await server.sql(`select pg_relation_filepath('young') as path`);
    const inTree = String(young?.['path']).replace(/^pg_tblspc\/\d+\//, '');
    assert.ok(facts.trees.some(({ id, files }) => id !== oid && files.some(({ path }) => path === inTree)));

    await server.sql(`create tablespace gone location '${place}.dropped'`);
    const taken = await localBackup(server, { run: at('copy', () => psql(server, 'drop tablespace gone')) });
    assert.equal(taken.facts.trees.length, 4);
    await verifies(server, taken);

    const hide = at('copy', () => renameSync(place, `${place}.hidden`));
    await assert.rejects(localBackup(server, { run: hide }), fails('Integrity', new RegExp(`tablespace ${oid}`)));

    await assert.rejects(localBackup(server), fails('Precondition', new RegExp(`tablespace ${oid}: ENOENT`)));
    await rename(`${place}.hidden`, place);
    await localBackup(server);
  });
});

test('the session of a backup stays alive, or ends it; names and starts are what the server makes', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    // For the sessions of the backup only: those of the test may be slow.
    await server.sql(`create role idler superuser login; alter role idler set idle_session_timeout = '1s'`);
    const idler = { ...server, connection: { ...server.connection, user: 'idler' } };
    await verifies(server, await localBackup(idler, { maxRateBytes: 8_000_000 }));

    // A minute is short here, and the copy would take hours.
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
      systemClock.sleep(ms === 60_000 ? 20 : ms, signal);
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lifeboat'`;
    const ended = { clock: { ...systemClock, sleep }, ...at('copy', () => psql(server, kill)) };
    await assert.rejects(localBackup(server, { run: ended, maxRateBytes: 2000 }), fails('Unavailable', /postgres/));

    const odd = Buffer.concat([Buffer.from(join(server.dataDir, 'base/odd-')), Buffer.from([0xff])]);
    await writeFile(odd, '');
    for (const read of ['local', 'stream'])
      await assert.rejects(localBackup(server, { files: { read } }), fails('Precondition', /not UTF-8/));
    await rm(odd);
    await writeFile(join(server.dataDir, 'base/odd-\ufffd'), '');
    assert.ok((await localBackup(server)).facts.trees[0]?.files.some(({ path }) => path === 'base/odd-\ufffd'));

    const path = join(server.dataDir, 'postmaster.pid');
    const lines = (await readFile(path, 'utf8')).split('\n');
    const isFound = async (earlierSeconds: number): Promise<boolean> => {
      const changed = lines.with(2, String(Number(lines[2]) - earlierSeconds));
      await writeFile(path, changed.join('\n'));
      const connection = serverSchema.parse(server.connection);
      const options = { ...optionsFor(server, {}), connection };
      const sql = await connectSql(connection);
      const looked = await lookForDataDirectory(options, sql, plainRun()).finally(() => sql.end());
      return 'path' in looked;
    };
    const found = [];
    for (const seconds of [0, 300, 700, -5]) found.push(await isFound(seconds));
    assert.deepEqual(found, [true, true, false, false]);
    await writeFile(path, lines.join('\n'));
  });
});

test('a backup whose session comes to another server than the one whose files are here is refused', async () => {
  await withPostgres({ version: 18 }, async (server) => {
    await withPostgres({ version: 18 }, async (other) => {
      const ports = [server.port];
      const proxy = createServer((socket) => {
        const to = connect(ports.shift() ?? other.port, '127.0.0.1');
        for (const end of [socket, to]) end.on('error', () => {});
        socket.pipe(to).pipe(socket);
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const { port } = proxy.address() as AddressInfo;
      const moved = { ...server, connection: { ...server.connection, port } };
      const files = { dataDirectory: server.dataDir };
      const attempt = localBackup(moved, { files }).finally(() => proxy.close());
      await assert.rejects(attempt, fails('Precondition', /files of cluster \d+/));
    });
  });
});
