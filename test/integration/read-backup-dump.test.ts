import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { dumpPoint, firstDifference, logicalOptions, rolesOf, textOf } from '../support/logical.ts';
import { run, serverUser, withPostgres, withServerDir } from '../support/postgres.ts';
import { readBackup } from '../support/read-backup.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { edit, flipBit, testVault } from '../support/vault.ts';

const SHOP = `
  create schema sales authorization seller;
  create table sales.orders (id bigserial primary key, note text, at timestamptz default '2026-01-05');
  insert into sales.orders (note) select repeat(md5(n::text), 3) from generate_series(1, 3000) n;
  create table sales.lines (order_id bigint references sales.orders, n int);
  insert into sales.lines select id, 1 from sales.orders;
  alter table sales.orders owner to seller; grant select on sales.orders to reader;
  create index on sales.orders (note);
  select lo_from_bytea(7001, decode(repeat('00ff', 3000), 'hex'));`;

/** The commands that docs/format.md tells a person to type, in another folder. */
async function documented(folder: string): Promise<string> {
  const text = await readFile(new URL('../../docs/format.md', import.meta.url), 'utf8');
  const block = /```sh\n(cd \/srv\/shop\/dump\n[^`]*)```/.exec(text)?.[1];
  assert.ok(block);
  return block.replaceAll('/srv/shop', folder);
}

test('Python reads a dump, and the documented commands bring its database back', () =>
  withPostgres({ version: 18 }, (server) =>
    withTempDir(async (dir) => {
      for (const text of ['create role seller', 'create role reader', 'create database shop']) await server.sql(text);
      await server.sql(SHOP, 'shop');
      const at = await testVault(dir);
      await using vault = await at.open();
      await dumpPoint(logicalOptions(server, { databases: ['shop'] }), vault, { id: 'p1' });
      const place = { host: '127.0.0.1', port: server.port, database: 'shop' };
      const before = [await textOf(server.binaries, place), await rolesOf(server.binaries, place)] as const;
      const keys = ['--root-key', join(at.keyDir, 'root.key'), '--signer', join(at.keyDir, 'signing.pub')];
      const read = (into: string): ReturnType<typeof readBackup> =>
        readBackup('--vault', at.root, '--source', 'shop', '--point', 'p1', ...keys, '--into', into);

      await withServerDir(async (out) => {
        const into = join(out, 'shop');
        const { code, stdout, stderr } = await read(into);
        assert.equal(code, 0, stderr);
        assert.match(stdout, /holds p1, a dump of PostgreSQL 18\n/);
        if (process.getuid?.() === 0) spawnSync('chown', ['-R', serverUser().name, out]);
        const { databases } = JSON.parse(await readFile(join(into, 'dump/contents.json'), 'utf8')) as {
          databases: { name: string; tables: { name: string; rows: number }[] }[];
        };
        assert.deepEqual(
          databases.map(({ name, tables }) => [name, tables.map((table) => [table.name, table.rows]).sort()]),
          [['shop', [['lines', 3000], ['orders', 3000]]]], // prettier-ignore
        );
        for (const text of ['drop database shop', 'drop role seller', 'drop role reader']) await server.sql(text);
        const server18 = `export PATH=${server.binaries}:$PATH PGHOST=127.0.0.1 PGPORT=${server.port} PGUSER=postgres`;
        await run('/bin/sh', ['-ec', `${server18}\n${await documented(into)}`]);
        assert.equal(firstDifference(await textOf(server.binaries, place), before[0]), undefined);
        assert.equal(await rolesOf(server.binaries, place), before[1]);
      });

      await edit(join(at.root, 'shop/points/p1/p000001'), (bytes) => flipBit(bytes, bytes.length - 20));
      const damaged = await read(join(dir, 'damaged'));
      assert.equal(damaged.code, 1);
      assert.match(damaged.stderr, /^read-backup: shop\/points\/p1\/p000001/);
      assert.ok(!existsSync(join(dir, 'damaged')));
    }),
  ));
