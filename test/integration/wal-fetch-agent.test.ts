import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { machine } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { once } from 'node:events';
import { loadConfig } from '../../activities/config/index.ts';
import { plainRun } from '../../activities/io/run.ts';
import { serveWal } from '../../activities/serve-wal.ts';
import { ensureTools } from '../../workers/dev/setup/index.ts';
import { withPostgres, withServerDir } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { protect, valueOf } from '../support/recovery.ts';
import type { Protected } from '../support/recovery.ts';
import { until } from '../support/system-until.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { edit, flipBit, testVault } from '../support/vault.ts';
import type { TestVault } from '../support/vault.ts';
import type { Called } from '../support/wal-fetching.ts';
import { call, LIFEBOAT, writeFetchConfig } from '../support/wal-fetching.ts';

const { walPush } = await ensureTools(['walPush'], { log: () => undefined });

interface Scene {
  server: TestPostgres;
  guard: Protected;
  place: TestVault;
  dir: string;
  socket: string;
  /** Where the server's archiver puts its copies: the oracle. */
  copies: string;
  /** The command as it is installed, with a Node that only says that it was started. */
  fetch(words: readonly string[], more?: { cwd?: string; agent?: string }): Promise<Called>;
}

/** What the slow way ends with here: whether it was gone is told by it. */
const SLOW = 201;

async function installed(dir: string): Promise<string> {
  const place = join(dir, 'installed');
  for (const folder of ['client', 'dist/bin', 'node_modules/node/bin'])
    await mkdir(join(place, folder), { recursive: true });
  await copyFile(LIFEBOAT, join(place, 'client/lifeboat.sh'));
  await copyFile(walPush, join(place, `dist/bin/lifeboat-wal-push-${machine()}`));
  await writeFile(join(place, 'node_modules/node/bin/node'), `#!/bin/sh\nexit ${SLOW}\n`, { mode: 0o755 });
  return join(place, 'client/lifeboat.sh');
}

async function withScene(callback: (scene: Scene) => Promise<void>): Promise<void> {
  await withServerDir(async (copies) => {
    const settings = { archive_mode: 'on', archive_command: `cp %p ${copies}/%f` };
    await withPostgres({ version: 18, settings, initdb: ['--wal-segsize=1'] }, (server) =>
      withTempDir(async (dir) => {
        const place = await testVault(dir);
        await using vault = await place.open();
        await server.sql('create table t (id serial, body text)');
        const guard = await protect(server, vault);
        const program = await installed(dir);
        const socket = join(dir, 's');
        const fetch: Scene['fetch'] = ([name = '', to = '', ...words], { cwd = server.dataDir, agent = socket } = {}) =>
          call('/bin/sh', [program, 'wal-fetch', 'shop', name, to, ...words, '--config', 'lifeboat.yml', '--agent', agent], cwd); // prettier-ignore
        try {
          await callback({ server, guard, place, dir, socket, copies, fetch });
        } finally {
          await guard.stop().catch(() => undefined);
        }
      }),
    );
  });
}

async function served<T>({ dir, place, socket }: Scene, work: () => Promise<T>): Promise<T> {
  const config = loadConfig({ path: await writeFetchConfig(dir, place), environment: {} });
  const over = new AbortController();
  const serving = serveWal(config, { source: 'shop', socket, socketMode: 0o600 }, plainRun({ signal: over.signal }));
  try {
    await until('the socket is there', () => stat(socket).catch(() => undefined));
    assert.equal((await stat(socket)).mode & 0o777, 0o600);
    return await work();
  } finally {
    over.abort(new Error('the test is over'));
    await serving;
  }
}

/** Segments that the server has archived and the vault has. */
async function segments({ server, guard, copies }: Scene, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let each = 0; each < count; each++) {
    await server.sql('insert into t (body) select repeat(md5(g::text), 8) from generate_series(1, 200) g');
    names.push(await valueOf(server.sql, 'select pg_walfile_name(pg_current_wal_lsn())'));
    await server.sql('select pg_switch_wal()');
  }
  await server.sql('insert into t (body) values (1)');
  await guard.caughtUp();
  await until('all are archived', async () => {
    const there = await readdir(copies);
    return names.every((name) => there.includes(name)) || undefined;
  });
  return names;
}

async function gives(scene: Scene, names: string[]): Promise<void> {
  const { fetch, server, copies } = scene;
  for (const name of names) {
    const { code, said } = await fetch([name, 'pg_wal/RECOVERYXLOG']);
    assert.equal(code, 0, said);
    const path = join(server.dataDir, 'pg_wal/RECOVERYXLOG');
    assert.ok((await readFile(path)).equals(await readFile(join(copies, name))), name);
    await rm(path);
  }
  const left = (await readdir(join(server.dataDir, 'pg_wal'))).filter((name) => name.startsWith('xlogtemp'));
  assert.deepEqual(left, []);
}

test('a worker gives WAL that the server archived, says what is not there, and leaves the rest to the slow way', () =>
  withScene(async (scene) => {
    const { server, dir, place, fetch, socket } = scene;
    const names = await segments(scene, 7);
    const [first = '', second = ''] = names;
    assert.equal((await fetch([first, 'x'])).code, SLOW, 'nobody listens');
    await served(scene, async () => {
      await gives(scene, names);
      await gives(scene, [...names].reverse());
      // Only the vault's own word is "not there".
      for (const absent of ['00000002.history', '000000090000000000000001'])
        assert.equal((await fetch([absent, 'pg_wal/x'])).code, 1, absent);
      const open = await valueOf(server.sql, 'select pg_walfile_name(pg_current_wal_lsn())');
      const given = await fetch([open, 'pg_wal/RECOVERYXLOG']);
      assert.equal(given.code, 1, 'the server has all of it itself');
      const copy = join(dir, 'copy');
      await mkdir(join(copy, 'global'), { recursive: true });
      await mkdir(join(copy, 'pg_wal'));
      await copyFile(join(server.dataDir, 'global/pg_control'), join(copy, 'global/pg_control'));
      assert.equal((await fetch([open, 'pg_wal/RECOVERYXLOG'], { cwd: copy })).code, 0);
      const partial = await readFile(join(copy, 'pg_wal/RECOVERYXLOG'));
      assert.equal(partial.length, 1 << 20);
      // What is no data directory, and a system that is named.
      const cases: [words: string[], cwd: string][] = [
        [[first, 'x'], dir],
        [[first, 'x', '--system', '7'], server.dataDir],
      ];
      for (const [words, cwd] of cases) assert.equal((await fetch(words, { cwd })).code, SLOW, words.join(' '));
      // Damage is never "not there"; what was read ahead is not asked for again.
      await gives(scene, [names.at(-1) ?? '']);
      const damaged = await walObject(place, second);
      await edit(damaged, (bytes) => flipBit(bytes, 300));
      assert.equal((await fetch([second, 'pg_wal/RECOVERYXLOG'])).code, SLOW);
      await edit(damaged, (bytes) => flipBit(bytes, 300));
      assert.equal((await fetch([second, 'pg_wal/RECOVERYXLOG'])).code, 0);
      // The store goes away, and comes back.
      await rename(place.root, `${place.root}.away`);
      for (const name of [first, '00000002.history']) assert.equal((await fetch([name, 'pg_wal/x'])).code, SLOW, name);
      await rename(`${place.root}.away`, place.root);
      await gives(scene, [first]);
    });
    assert.equal((await fetch([first, 'x'])).code, SLOW, 'nobody listens any more');
    await assert.rejects(stat(socket), { code: 'ENOENT' });
  }));

/** The one object that begins where a segment does. */
async function walObject({ root }: TestVault, segment: string): Promise<string> {
  const systems = join(root, 'shop/wal');
  const [system = ''] = await readdir(systems);
  const start = (BigInt(`0x${segment.slice(8, 16)}`) << 32n) + BigInt(`0x${segment.slice(16)}`) * BigInt(1 << 20);
  const folder = join(systems, system, '00000001');
  const begins = start.toString(16).padStart(16, '0');
  const name = await until('its pieces are one', async () => {
    const found = (await readdir(folder)).filter((each) => each.startsWith(begins));
    return found.length === 1 ? found[0] : undefined;
  });
  return join(folder, name);
}

/** The helper against something that answers so, and hangs up. */
const ANSWERS: readonly [answer: string, code: number][] = [
  ['wait\nwait\nhere 3\nabc', 0],
  ['absent\n', 1],
  ['wait\nabsent\n', 1],
  ['here 4\nabc', SLOW],
  ['here 2\nabc', SLOW],
  ['here\nabc', SLOW],
  ['here -1\n', SLOW],
  ['no reason\n', SLOW],
  ['absent', SLOW],
  ['', SLOW],
];

/** A helper that asks, and takes nothing but the first line of the answer. */
async function asks(socket: string, request: string): Promise<{ line: string; connection: Socket }> {
  const connection = connect({ path: socket, allowHalfOpen: true });
  connection.write(`${request}\n`);
  const [said] = (await once(connection.setEncoding('utf8'), 'data')) as [string];
  connection.pause();
  return { line: said.trim(), connection };
}

test('what is on its way to servers takes no more memory than there is for it', () =>
  withScene(async (scene) => {
    const { server, socket } = scene;
    const system = await valueOf(server.sql, 'select system_identifier from pg_control_system()');
    const { dev, ino } = await stat(join(server.dataDir, 'pg_wal'));
    const words = ['fetch', 'shop', system, String(256 * 2 ** 20), '00000002.history', 'plain', `${dev}:${ino}`];
    const request = [...words, join(server.dataDir, 'pg_wal')].join('\t');
    await served(scene, async () => {
      const first = await asks(socket, request);
      assert.equal(first.line, 'absent');
      const second = await asks(socket, request);
      assert.match(second.line, /^no too much/);
      for (const { connection } of [first, second]) connection.destroy();
      await until('there is room again', async () => {
        const { line, connection } = await asks(socket, request);
        connection.destroy();
        return line === 'absent' || undefined;
      });
    });
  }));

/** As much of a data directory as the helper looks at. */
async function writeControl(dir: string): Promise<void> {
  await mkdir(join(dir, 'global'));
  const control = Buffer.alloc(512);
  control.writeDoubleLE(1234567, 64);
  await writeFile(join(dir, 'global/pg_control'), control);
}

test('a worker that hangs costs its deadline once, and is asked again later', () =>
  withTempDir(async (dir) => {
    const program = await installed(dir);
    const socket = join(dir, 's');
    await writeControl(dir);
    let asked = 0;
    let hangs = true;
    const connections = new Set<Socket>();
    const server = createServer((connection) => {
      asked += 1;
      connections.add(connection);
      connection.on('error', () => undefined).once('data', () => (hangs ? undefined : connection.end('absent\n')));
    }).listen(socket);
    await once(server, 'listening');
    const words = ['wal-fetch', 'shop', '000000010000000000000001', 'file', '--agent', socket];
    const code = async (): Promise<number | null> => (await call('/bin/sh', [program, ...words], dir)).code;
    try {
      assert.deepEqual([await code(), await code(), asked], [SLOW, SLOW, 1]);
      hangs = false;
      const mark = join(dir, 'xlogtemp.lifeboat-silent');
      const old = Date.now() / 1000 - 61;
      await utimes(mark, old, old);
      assert.deepEqual([await code(), asked], [1, 2]);
      await assert.rejects(stat(mark), { code: 'ENOENT' });
    } finally {
      const closed = once(server, 'close');
      server.close();
      for (const connection of connections) connection.destroy();
      await closed;
    }
  }));

test('only the whole file and the word itself count, whatever a worker says', () =>
  withTempDir(async (dir) => {
    const program = await installed(dir);
    const socket = join(dir, 's');
    await writeControl(dir);
    for (const [answer, expected] of ANSWERS) {
      const server = createServer((connection) => {
        connection.on('error', () => undefined);
        connection.once('data', () => connection.end(answer));
      }).listen(socket);
      await once(server, 'listening');
      const words = ['wal-fetch', 'shop', '000000010000000000000001', 'file', '--agent', socket];
      const { code, said } = await call('/bin/sh', [program, ...words], dir);
      assert.equal(code, expected, `${JSON.stringify(answer)}: ${said}`);
      const content = await readFile(join(dir, 'file'), 'utf8').catch(() => undefined);
      assert.equal(content, expected === 0 ? 'abc' : undefined);
      await rm(join(dir, 'file'), { force: true });
      const closed = once(server, 'close');
      server.close();
      await closed;
    }
    assert.deepEqual((await readdir(dir)).filter((name) => name.startsWith('xlogtemp')), []); // prettier-ignore
  }));
