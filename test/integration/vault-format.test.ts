import assert from 'node:assert/strict';
import { chmod, cp, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { plainRun } from '../../activities/io/run.ts';
import { assembleSegment } from '../../activities/sources/postgres/wal/segments.ts';
import { filesystemStore } from '../../activities/stores/filesystem.ts';
import { loadKeyRing, openVault } from '../../activities/vault/index.ts';
import type { Vault } from '../../activities/vault/vault.ts';
import { readBackup } from '../support/read-backup.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { newKeysIn } from '../../activities/vault/index.ts';

/**
 * A vault as version 1 of the format has it, with its keys. It is never made again: whatever Lifeboat becomes, it reads
 * what it wrote.
 */
const FROZEN = fileURLToPath(new URL('../support/vault-format-1', import.meta.url));

const POINT = '20260105T030004Z-1a2b3c4d-1';
const SYSTEM = '7312345678901234567';
const SEGMENT_BYTES = 1 << 24;
const FILES = {
  'data/PG_VERSION': '18\n',
  'data/base/5/1259': 'a relation that spans parts\n'.repeat(400),
  'data/base/5/empty': '',
  'tablespaces/16385/PG_18_202506291/5/16390': 'a relation of the tablespace\n',
  'config/etc/postgresql/18/main/pg_hba.conf': 'local all all peer\n',
};

interface Copy {
  store: string;
  keys: ReturnType<typeof newKeysIn>;
  dir: string;
}

async function withCopy(callback: (copy: Copy) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    await cp(FROZEN, dir, { recursive: true });
    const keys = newKeysIn(join(dir, 'keys'));
    // A checkout does not keep that only their owner may read them.
    for (const path of Object.values(keys) as string[]) await chmod(path, 0o600);
    await callback({ dir, keys, store: join(dir, 'store') });
  });
}

async function withVault({ store, keys }: Copy, callback: (vault: Vault) => Promise<void>): Promise<void> {
  const run = plainRun();
  const { root, signing, recoveryPublic } = keys;
  const ring = await loadKeyRing({ root, signing, recoveryPublic, trusted: [] });
  const options = { source: 'shop', keys: ring, compressionLevel: 3, partBytes: 4096, parallel: 2, tool: 'test' };
  await using session = await filesystemStore.open({ path: store }, run);
  await using vault = await openVault(session, options, run);
  await callback(vault);
}

/** Segment 3 of each timeline: what the vault was given, zeros behind; the younger one begins with its parent's bytes. */
function segments(): { one: Buffer; two: Buffer } {
  const one = Buffer.alloc(SEGMENT_BYTES);
  one.fill('timeline one, first piece; ', 0, 1000);
  one.fill('timeline one, second piece; ', 1000, 1500);
  const two = Buffer.alloc(SEGMENT_BYTES);
  one.copy(two, 0, 0, 1200);
  two.fill('timeline two; ', 1200, 1500);
  return { one, two };
}

test('Lifeboat reads a vault of format 1: points, parts, WAL, histories', async () => {
  await withCopy((copy) =>
    withVault(copy, async (vault) => {
      const { points, damaged } = await vault.points();
      assert.deepEqual(damaged, []);
      assert.equal(points.length, 1, 'the withdrawn point is none');
      const { point, bytes, parts, files, tool, startLsn, stopLsn, timeline } = points[0] ?? assert.fail();
      assert.deepEqual([point, tool, startLsn, stopLsn, timeline], [POINT, '0.1.0', '0/3000028', '0/3000158', 1]);
      assert.deepEqual(await vault.verify(POINT, () => {}), { parts, bytes, storedBytes: 368 + 366 + 405 });
      assert.deepEqual([parts, files], [3, 10]);

      const histories = await vault.wal.histories(SYSTEM);
      const ancestors = [{ timeline: 1, switchLsn: '0/30004B0', reason: 'no recovery target specified' }];
      assert.deepEqual(histories, [{ timeline: 2, ancestors }]);
      const objects = await vault.wal.list({ systemId: SYSTEM });
      const query = { start: '0/3000000', segmentBytes: SEGMENT_BYTES, histories };
      const { one, two } = segments();
      assert.ok((await assembleSegment(vault.wal, objects, { ...query, timeline: 1 }))?.equals(one));
      assert.ok((await assembleSegment(vault.wal, objects, { ...query, timeline: 2 }))?.equals(two));
    }),
  );
});

for (const key of ['root', 'recovery'] as const) {
  test(`read-backup.py reads a vault of format 1 with the ${key} key`, async () => {
    await withCopy(async ({ dir, keys, store }) => {
      const into = join(dir, 'out');
      const opener = { root: ['--root-key', keys.root], recovery: ['--recovery-key', keys.recoveryPrivate] }[key];
      const what = ['--vault', store, '--source', 'shop', '--point', POINT, '--into', into];
      const { code, stdout, stderr } = await readBackup(...what, ...opener, '--signer', keys.signingPublic);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /reaches 0\/30005DC on timeline 1, 0\/30005DC on timeline 2\n/);
      for (const [path, content] of Object.entries(FILES)) {
        assert.equal(await readFile(join(into, path), 'utf8'), content, path);
      }
      assert.deepEqual((await readdir(join(into, 'data'))).sort(), ['PG_VERSION', 'base', 'global', 'pg_tblspc']);
      assert.equal(await readlink(join(into, 'data/pg_tblspc/16385')), join(into, 'tablespaces/16385'));
      const { one, two } = segments();
      assert.ok((await readFile(join(into, 'wal/000000010000000000000003'))).equals(one));
      assert.ok((await readFile(join(into, 'wal/000000020000000000000003'))).equals(two));
      const history = await readFile(join(into, 'wal/00000002.history'), 'utf8');
      assert.equal(history, '1\t0/30004B0\tno recovery target specified\n');
    });
  });
}
