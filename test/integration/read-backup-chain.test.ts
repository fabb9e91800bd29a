import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { combinedByServer, fillTables, sumsOf, SUMMARIZING, takePoint } from '../support/chains.ts';
import { withPostgres, withServerDir } from '../support/postgres.ts';
import { readBackup } from '../support/read-backup.ts';
import { protect } from '../support/recovery.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { testVault } from '../support/vault.ts';

const CHAIN = ['p1', 'p2', 'p3'];

const CHANGES = [
  ['delete from cut where id > 900', 'vacuum (truncate) cut', 'update far set body = md5(body) where id < 30'],
  ['drop table dropped', 'update changed set body = md5(body) where id % 70 = 0', 'create database made'],
];

test('Python puts a chain together as pg_combinebackup does, and says what it lacks', async () => {
  await withPostgres({ version: 18, settings: SUMMARIZING }, async (server) => {
    await withTempDir(async (dir) => {
      const at = await testVault(dir);
      await using vault = await at.open();
      await fillTables(server, ['cut', 'dropped', 'changed'], 5000);
      const guard = await protect(server, vault);
      for (const [index, statements] of CHANGES.entries()) {
        for (const statement of statements) await server.sql(statement);
        await takePoint(server, vault, { id: CHAIN[index + 1] ?? '', parent: CHAIN[index] ?? '' });
      }
      await guard.caughtUp();
      await guard.stop();
      const place = ['--vault', at.root, '--source', 'shop'];
      const keys = ['--root-key', join(at.keyDir, 'root.key'), '--signer', join(at.keyDir, 'signing.pub')];
      const read = (into: string): ReturnType<typeof readBackup> =>
        readBackup(...place, ...keys, '--point', 'p3', '--into', into);

      const listed = await readBackup(...place, '--list', ...keys);
      assert.match(listed.stdout, /^p1 {2}full {2}.*\np2 {2}incremental on p1 {2}.*\np3 {2}incremental on p2 {2}/);

      await withServerDir(async (other) => {
        const theirs = await combinedByServer({ server, vault, points: CHAIN }, other);
        const into = join(dir, 'by-hand');
        const { code, stderr } = await read(into);
        assert.equal(code, 0, stderr);
        const spaces = (await readdir(join(into, 'tablespaces'))).map((oid) => [oid, join(into, 'tablespaces', oid)]);
        const ours = await sumsOf({
          base: join(into, 'data'),
          ...(Object.fromEntries(spaces) as Record<string, string>),
        });
        assert.deepEqual(ours, theirs);
        assert.ok(!existsSync(join(into, 'data', 'backup_manifest')));
      });

      await rm(join(at.root, 'shop/points/p2/manifest'));
      const broken = await read(join(dir, 'again'));
      assert.equal(broken.code, 1);
      assert.match(broken.stderr, /^read-backup: shop\/points\/p2\/manifest is not in the vault\n$/);
      assert.ok(!existsSync(join(dir, 'again')));
    });
  });
});
