import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { endOfRecords } from '../../activities/sources/postgres/recovery/tablespace-records.ts';
import { parseSegmentName } from '../../workflows/model/lsn.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { withPostgres, withServerDir } from '../support/postgres.ts';
import type { Protected } from '../support/recovery.ts';
import { protect, valueOf } from '../support/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';
import type { TestVault } from '../support/vault.ts';
import { edit, flipBit, newKeyRing, testVault } from '../support/vault.ts';
import type { Called } from '../support/wal-fetching.ts';
import { call, LIFEBOAT, writeFetchConfig } from '../support/wal-fetching.ts';

interface Scene {
  server: TestPostgres;
  guard: Protected;
  place: TestVault;
  dir: string;
  segmentBytes: number;
  /** Where the server's archiver puts its copies: the oracle. */
  copies: string;
  /** Calls the command in a folder, the server's data directory unless another one is named. */
  fetch(words: readonly string[], cwd?: string): Promise<Called>;
}

async function withScene(
  { version, segmentMiB }: { version: number; segmentMiB: number },
  callback: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withServerDir(async (copies) => {
    const settings = { archive_mode: 'on', archive_command: `cp %p ${copies}/%f` };
    await withPostgres({ version, settings, initdb: [`--wal-segsize=${segmentMiB}`] }, (server) =>
      withTempDir(async (dir) => {
        const place = await testVault(dir);
        const config = await writeFetchConfig(dir, place);
        await using vault = await place.open();
        await server.sql('create table t (id serial, body text)');
        const guard = await protect(server, vault);
        const fetch: Scene['fetch'] = (words, cwd = server.dataDir) =>
          call(LIFEBOAT, ['wal-fetch', 'shop', ...words, '--config', config], cwd);
        try {
          await callback({ server, guard, place, dir, copies, fetch, segmentBytes: segmentMiB << 20 });
        } finally {
          await guard.stop().catch(() => undefined);
        }
      }),
    );
  });
}

/** Ends the open segment, waits until the server has archived it and the vault has what is behind it. */
async function switched({ server, guard, copies }: Scene): Promise<string> {
  await server.sql('insert into t (body) select repeat(md5(g::text), 8) from generate_series(1, 500) g');
  const name = await valueOf(server.sql, 'select pg_walfile_name(pg_current_wal_lsn())');
  await server.sql('select pg_switch_wal()');
  await server.sql('insert into t (body) values (1)');
  await guard.caughtUp();
  while (!(await readdir(copies)).includes(name)) await new Promise((next) => setTimeout(next, 50));
  return name;
}

for (const use of [
  { version: 15, segmentMiB: 1 },
  { version: 18, segmentMiB: 16 },
]) {
  test(`PostgreSQL ${use.version}: wal-fetch brings what the server archived, and says what it cannot`, async (t) => {
    await withScene(use, async (scene) => {
      const name = await switched(scene);
      await whole(t, scene, name);
      await open(t, scene);
      await ends(t, scene, name);
      if (use.version === 15) return;
      await absent(t, scene);
      await holes(t, scene, name);
      await unasked(t, scene, name);
    });
  });
}

async function whole(t: TestContext, { fetch, copies, server, dir }: Scene, name: string): Promise<void> {
  await t.test('a segment, byte for byte, in the place of what stands there', async () => {
    const to = join(dir, 'file');
    await writeFile(to, 'older');
    assert.deepEqual(await fetch([name, to]), { code: 0, said: '' });
    assert.ok((await readFile(to)).equals(await readFile(join(copies, name))));
    // As the server names it: in its own folder.
    assert.equal((await fetch([name, 'pg_wal/RECOVERYXLOG'])).code, 0);
    assert.ok((await readFile(join(server.dataDir, 'pg_wal/RECOVERYXLOG'))).equals(await readFile(join(copies, name))));
    await rm(join(server.dataDir, 'pg_wal/RECOVERYXLOG'));
    const left = (await readdir(join(server.dataDir, 'pg_wal'))).filter((each) => each.startsWith('xlogtemp'));
    assert.deepEqual(left, []);
  });
}

async function open(t: TestContext, scene: Scene): Promise<void> {
  const { fetch, server, guard, dir, segmentBytes } = scene;
  await t.test('the open segment as far as it is stored, and never over more of it', async () => {
    await server.sql('insert into t (body) values (2)');
    const name = await valueOf(server.sql, 'select pg_walfile_name(pg_current_wal_lsn())');
    await guard.caughtUp();
    // What is stored stays as it is from here on.
    await guard.stop();
    const to = join(dir, 'open');
    assert.equal((await fetch([name, to])).code, 0);
    const [stored, own] = [await readFile(to), await readFile(join(server.dataDir, 'pg_wal', name))];
    assert.equal(stored.length, segmentBytes);
    const known = stored.findLastIndex((byte) => byte !== 0) + 1;
    assert.ok(known > 0 && stored.subarray(0, known).equals(own.subarray(0, known)));
    const theirs = [
      { content: own, code: 1 },
      { content: stored, code: 1 },
      // Of another history, or the rest of a segment that was used before.
      { content: Buffer.alloc(segmentBytes, 7), code: 0 },
      { content: stored.subarray(0, 100), code: 0 },
    ];
    const codes = theirs.map(async ({ content }, index) => {
      const folder = join(dir, `theirs-${index}`);
      await mkdir(folder);
      await writeFile(join(folder, name), content);
      return (await fetch([name, join(folder, 'RECOVERYXLOG')])).code;
    });
    assert.deepEqual(
      await Promise.all(codes),
      theirs.map(({ code }) => code),
    );
  });
}

/** pg_waldump is the oracle. */
async function ends(t: TestContext, { server, copies, segmentBytes }: Scene, name: string): Promise<void> {
  await t.test('where the last whole record ends in a segment that is cut', async () => {
    const path = join(copies, name);
    const bytes = await readFile(path);
    const start = parseSegmentName(name, segmentBytes)?.start ?? 0n;
    const how = { encoding: 'utf8', maxBuffer: 1 << 28 } as const;
    const { stdout: dump } = spawnSync(join(server.binaries, 'pg_waldump'), [path], how);
    const found = [...dump.matchAll(/lsn: ([0-9A-F]+)\/([0-9A-F]+),/g)];
    const at = found.map(([, high, low]) => Number(((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) - start));
    assert.ok(at.length > 100, dump.slice(0, 500));
    const last = at.at(-1) ?? 0;
    for (let cut = (at[0] ?? 0) + 1; cut < last; cut += 997) {
      const known = Buffer.alloc(segmentBytes);
      bytes.copy(known, 0, 0, cut);
      const end = endOfRecords(known, start, cut) ?? 0;
      // The end of one record is the beginning of the next, but for the header of a page between them.
      const next = at.find((each) => each >= end) ?? segmentBytes;
      assert.ok(end <= cut && next - end <= 40, `cut at ${cut}: ${end}, next record at ${next}`);
      // One that is cut, and before it one that ends with its page.
      const behind = at.filter((each) => each > end && each <= cut).length;
      assert.ok(behind <= 2, `cut at ${cut}: ${behind} records begin behind ${end}`);
    }
  });
}

async function absent(t: TestContext, { fetch, dir, server }: Scene): Promise<void> {
  await t.test('1 for what the vault does not have', async () => {
    const to = join(dir, 'none');
    const names = ['0000000100000000000000EE', '00000002.history', 'backup_label'];
    const answers = await Promise.all(names.map((name) => fetch([name, to])));
    for (const answer of answers) assert.deepEqual(answer, { code: 1, said: '' });
    assert.ok(!(await readdir(dir)).includes('none'));
    const systemId = await valueOf(server.sql, 'select system_identifier from pg_control_system()');
    assert.equal((await fetch(['00000002.history', to, '--system', systemId], dir)).code, 1);
  });
}

async function holes(t: TestContext, { fetch, dir, place }: Scene, name: string): Promise<void> {
  await t.test('above 125 for a hole: what the vault has behind it is not behind the end', async () => {
    const wal = join(place.root, 'shop/wal');
    const files = (await readdir(wal, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const segment = parseSegmentName(name, 16 << 20)?.start ?? 0n;
    const from = segment.toString(16).padStart(16, '0');
    const until = (segment + BigInt(16 << 20)).toString(16).padStart(16, '0');
    const inside = files.filter((entry) => entry.name >= from && entry.name < until);
    assert.ok(inside.length > 0 && files.some((entry) => entry.name >= until), files.map((file) => file.name).join());
    const to = join(dir, 'hole');
    for (const entry of inside) await rename(join(entry.parentPath, entry.name), join(dir, entry.name));
    const { code, said } = await fetch([name, to, '--wait', '0s']);
    assert.equal(code, 254, said);
    assert.match(said, /is not in the vault, although later WAL is/);
    assert.equal((await fetch([name, to, '--standby'])).code, 1);
    assert.ok(!(await readdir(dir)).includes('hole'));
    for (const entry of inside) await rename(join(dir, entry.name), join(entry.parentPath, entry.name));
    assert.equal((await fetch([name, to])).code, 0);
    await rm(to);
  });
}

async function unasked(t: TestContext, { fetch, dir, place, server }: Scene, name: string): Promise<void> {
  const to = join(dir, 'unasked');
  const refused = async (says: RegExp, words: readonly string[] = [], cwd?: string): Promise<void> => {
    const { code, said } = await fetch([name, to, '--wait', '0s', ...words], cwd);
    assert.equal(code, 254, said);
    assert.match(said, says);
    assert.ok(!(await readdir(dir)).includes('unasked'));
  };
  const standby = async (says: RegExp): Promise<void> => {
    const { code, said } = await fetch([name, to, '--standby']);
    assert.equal(code, 1, said);
    assert.match(said, says);
  };
  await t.test('above 125 for what could not be asked; a standby is told, and asks again', async () => {
    await rename(place.root, `${place.root}.away`);
    await refused(/store/);
    await standby(/store/);
    await rename(`${place.root}.away`, place.root);
    await refused(/is no data directory/, [], dir);
    await refused(/is no data directory/, ['--system', '7312345678901234567'], dir);
    const control = join(server.dataDir, 'global/pg_control');
    const folder = join(dir, 'data/global');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'pg_control'), flipBit(await readFile(control), 40));
    await refused(/pg_control has a wrong checksum/, [], join(dir, 'data'));
  });
  await t.test('above 125 for what is damaged, and for a key that does not open it', async () => {
    const objects = (await readdir(join(place.root, 'shop/wal'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    for (const path of objects) await edit(path, (bytes) => flipBit(bytes, bytes.length - 20));
    await refused(/./);
    await standby(/./);
    for (const path of objects) await edit(path, (bytes) => flipBit(bytes, bytes.length - 20));
    const own = await readFile(join(place.keyDir, 'root.key'));
    const other = join(dir, 'other');
    await newKeyRing(other);
    await writeFile(join(place.keyDir, 'root.key'), await readFile(join(other, 'root.key')));
    await refused(/cannot be opened with/);
    await writeFile(join(place.keyDir, 'root.key'), own);
    assert.equal((await fetch([name, to])).code, 0);
    await rm(to);
  });
  await t.test('above 125 for a place that cannot be written to', async () => {
    const { code, said } = await fetch([name, '/proc/none/file', '--wait', '0s']);
    assert.equal(code, 254, said);
  });
}
