import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, copyFile, lstat, readdir, readFile, readlink, realpath, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { plainRun } from '../../activities/io/run.ts';
import { createRecovery } from '../../activities/sources/postgres/recovery/index.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { freePort } from '../../activities/io/free-port.ts';
import { makeOwned, run, serverUser, withPostgres, withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { readBackup } from '../support/read-backup.ts';
import { planFor, protect, recoveryOptions } from '../support/recovery.ts';
import type { Protected } from '../support/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { heldThreads, testVault } from '../support/vault.ts';
import type { TestVault } from '../support/vault.ts';

heldThreads();

const POINT = 'p1';

interface Scene {
  server: TestPostgres;
  at: TestVault;
  vault: Vault;
  guard: Protected;
  tablespace: string;
}

/** A cluster with a tablespace and a table that nobody changes, backed up while its WAL is shipped. */
async function withScene(callback: (scene: Scene) => Promise<void>): Promise<void> {
  await withPostgres({ version: 18, initdb: ['--allow-group-access'] }, async (server) => {
    await withTempDir(async (dir) => {
      const at = await testVault(dir);
      await using vault = await at.open();
      await moveHbaOutside(server);
      const place = join(server.dataDir, '..', 'space');
      await makeOwned(place);
      await server.sql(`create tablespace space location '${place}'`);
      await server.sql(
        `create table still as select g as id, repeat(md5(g::text), 8) as body from generate_series(1, 15000) g`,
      );
      await server.sql(`create table spaced tablespace space as select * from still`);
      await server.sql('create table orders (id int primary key)');
      await server.sql('insert into orders select generate_series(1, 1000)');
      await server.sql('create unlogged table scratch as select 1 as x');
      // Hint bits and the frozen state are written now, so that nothing changes these files any more.
      for (const statement of ['vacuum (freeze) still', 'vacuum (freeze) spaced', 'checkpoint'])
        await server.sql(statement);
      const tablespace = String(
        (await server.sql(`select oid from pg_tablespace where spcname = 'space'`))[0]?.['oid'],
      );
      const guard = await protect(server, vault, { pointId: POINT });
      await server.sql('insert into orders select generate_series(1001, 1500)');
      await guard.caughtUp();
      try {
        await callback({ server, at, vault, guard, tablespace });
      } finally {
        await guard.stop();
      }
    });
  });
}

/** As Debian has it. */
const hbaOutside = (server: TestPostgres): string => join(server.dataDir, '..', 'outside', 'pg_hba.conf');

async function moveHbaOutside(server: TestPostgres): Promise<void> {
  const path = hbaOutside(server);
  await makeOwned(dirname(path));
  await copyFile(join(server.dataDir, 'pg_hba.conf'), path);
  giveToServerUser(path);
  await server.sql(`alter system set hba_file = '${await realpath(path)}'`);
  await server.stop();
  await server.start();
}

function read({ at }: Pick<Scene, 'at'>, into: string, key = ['--root-key', join(at.keyDir, 'root.key')]) {
  const place = ['--vault', at.root, '--source', 'shop', '--point', POINT, '--into', into];
  return readBackup(...place, '--signer', join(at.keyDir, 'signing.pub'), ...key);
}

async function readWell(scene: Pick<Scene, 'at'>, into: string, key?: string[]): Promise<void> {
  const { code, stdout, stderr } = await read(scene, into, key);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.match(stdout, /WAL in .* reaches [0-9A-F]+\/[0-9A-F]+ on timeline 1/);
}

/** Every entry below a folder and what it holds; tablespaces, which stand elsewhere, are left out. */
async function contents(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of await readdir(root, { recursive: true })) {
    const path = join(root, name);
    if (name.startsWith('pg_tblspc/') || name === 'tablespace_map') continue;
    const isFolder = (await lstat(path)).isDirectory();
    found.set(name, isFolder ? 'folder' : (await readFile(path)).toString('latin1'));
  }
  return found;
}

function assertSame(found: Map<string, string>, expected: Map<string, string>): void {
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  // One message for one file: a diff of whole clusters helps nobody.
  for (const [name, content] of expected) assert.ok(found.get(name) === content, `${name} differs`);
}

function giveToServerUser(path: string): void {
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', serverUser().name, path]);
}

/** The files of a table as the running server has them. */
async function filesOnServer(server: TestPostgres, table: string): Promise<Buffer> {
  const [row] = await server.sql(`select pg_relation_filepath('${table}') as path`);
  return readFile(join(server.dataDir, String(row?.['path'])));
}

test('what Python reads is what the server held and what Lifeboat restores, byte by byte', async () => {
  await withScene(async (scene) => {
    const { server, vault, guard, tablespace } = scene;
    await withServerDir(async (dir) => {
      const into = join(dir, 'by-hand');
      await readWell(scene, into);
      const spaces = join(into, 'tablespaces', tablespace);
      const data = await contents(join(into, 'data'));

      for (const table of ['still', 'spaced']) {
        const bytes = await filesOnServer(server, table);
        const [row] = await server.sql(`select pg_relation_filepath('${table}') as path`);
        assert.ok(bytes.length > 2 << 20, `${table} spans parts`);
        assert.ok(bytes.equals(await readFile(join(into, 'data', String(row?.['path'])))), `${table} differs`);
      }

      giveToServerUser(into);
      await run(join(server.binaries, 'pg_verifybackup'), [
        '--no-parse-wal',
        '--ignore=tablespace_map',
        join(into, 'data'),
      ]);

      const moved = join(dir, 'space');
      const plan = await planFor(dir, guard, { target: { kind: 'latest' }, tablespaces: { [tablespace]: moved } });
      const recovery = createRecovery('shop', recoveryOptions(server), plainRun());
      await recovery.prepare(plan);
      await recovery.fetch(plan, await vault.open(POINT));
      const restored = await contents(plan.into);
      assert.equal(await readlink(join(into, 'data', 'pg_tblspc', tablespace)), spaces);
      assertSame(data, restored);
      assertSame(await contents(spaces), await contents(moved));
      const hba = await realpath(hbaOutside(server));
      const kept = [join(into, 'config', hba), join(`${plan.into}.lifeboat`, 'config', hba)];
      for (const path of kept) assert.equal(await readFile(path, 'utf8'), await readFile(hba, 'utf8'));
      await recovery.discard(plan);
    });
  });
});

test('a server starts on what Python wrote and replays the WAL to its end', async () => {
  await withScene(async (scene) => {
    await withServerDir(async (dir) => {
      const into = join(dir, 'by-hand');
      const elsewhere = join(dir, 'elsewhere');
      const options = ['--recovery-key', join(scene.at.keyDir, 'recovery.key')];
      await readWell(scene, into, [...options, '--tablespace', `${scene.tablespace}=${elsewhere}`]);
      giveToServerUser(elsewhere);
      await withStarted(scene, into, async (client) => {
        assert.deepEqual(await numbers(client, 'select count(*), max(id), sum(id) from orders'), [1500, 1500, 1125750]);
        assert.deepEqual(await numbers(client, 'select count(*) from spaced'), [15000]);
        const { rows } = await client.query('select pg_tablespace_location($1) as place', [scene.tablespace]);
        assert.deepEqual(rows, [{ place: elsewhere }]);
        assert.deepEqual(await numbers(client, 'select count(*) from scratch'), [0]);
        assert.deepEqual(await numbers(client, 'select timeline_id from pg_control_checkpoint()'), [2]);
      });
    });
  });
});

test('WAL goes on through a promotion: history files, and the segment that two timelines share', async () => {
  await withScene(async (scene) => {
    const { server, guard } = scene;
    await server.stop();
    await writeFile(join(server.dataDir, 'recovery.signal'), '');
    const auto = join(server.dataDir, 'postgresql.auto.conf');
    await writeFile(auto, `${await readFile(auto, 'utf8')}restore_command = 'false'\n`);
    await server.start();
    await promoted(server);
    await server.sql('insert into orders select generate_series(1501, 1700)');
    await guard.caughtUp();
    await withServerDir(async (dir) => {
      const into = join(dir, 'by-hand');
      const { code, stdout, stderr } = await read(scene, into);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /on timeline 1, [0-9A-F/]+ on timeline 2/);
      assert.ok(existsSync(join(into, 'wal', '00000002.history')));
      await withStarted(scene, into, async (client) => {
        assert.deepEqual(await numbers(client, 'select count(*), max(id) from orders'), [1700, 1700]);
      });
    });
  });
});

test('refused: a backup whose WAL does not reach its end', async () => {
  await withScene(async (scene) => {
    const { guard, vault } = scene;
    await guard.stop();
    for (const object of await vault.wal.list({ systemId: guard.point.systemId })) await vault.wal.remove(object);
    await withTempDir(async (dir) => {
      const { code, stderr } = await read(scene, join(dir, 'by-hand'));
      assert.equal(code, 1);
      assert.match(stderr, /^read-backup: the backup cannot become consistent: WAL ends at .*, before .*\n$/);
      assert.ok(!existsSync(join(dir, 'by-hand')));
    });
  });
});

/** Waits on the server, not on a clock: pg_ctl comes back before a recovery without an end target has ended. */
async function promoted(server: TestPostgres): Promise<void> {
  for (;;) {
    const [row] = await server.sql('select pg_is_in_recovery() as recovering, pg_sleep(0.02)::text');
    if (row?.['recovering'] === false) return;
  }
}

/** Word for word what docs/format.md, "Restoring by hand", tells a person to do. */
async function withStarted(scene: Scene, into: string, callback: (client: pg.Client) => Promise<void>): Promise<void> {
  const { binaries } = scene.server;
  const data = join(into, 'data');
  const port = await freePort();
  const hba = await realpath(hbaOutside(scene.server));
  assert.equal(await readFile(join(into, 'config', hba), 'utf8'), await readFile(hba, 'utf8'));
  await copyFile(join(into, 'config', hba), join(data, 'pg_hba.conf'));
  const manual = await readFile(new URL('../../docs/format.md', import.meta.url), 'utf8');
  const settings = /```\n( *restore_command.*?)```/s.exec(manual)?.[1] ?? '';
  const ours = settings.replaceAll('/srv/shop', into).replace("'5433'", `'${port}'`);
  assert.ok(ours.includes(into) && ours.includes(String(port)));
  await appendFile(join(data, 'postgresql.auto.conf'), ours);
  await writeFile(join(data, 'recovery.signal'), '');
  giveToServerUser(into);
  await run(join(binaries, 'pg_ctl'), ['-D', data, '-l', join(into, 'log'), '-w', 'start']).catch(async (error) => {
    throw new Error(`${String(error)}\n${await readFile(join(into, 'log'), 'utf8').catch(() => '')}`);
  });
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  try {
    await client.connect();
    for (;;) if ((await numbers(client, 'select pg_is_in_recovery()::int from pg_sleep(0.02)'))[0] === 0) break;
    await callback(client);
  } finally {
    await client.end();
    await run(join(binaries, 'pg_ctl'), ['-D', data, '-m', 'immediate', '-w', 'stop']);
  }
}

async function numbers(client: pg.Client, sql: string): Promise<number[]> {
  const { rows } = await client.query({ text: sql, rowMode: 'array' });
  return (rows[0] as unknown[]).map(Number);
}
