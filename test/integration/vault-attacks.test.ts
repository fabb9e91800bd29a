import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createPrivateKey, sign } from 'node:crypto';
import { failureTypeOf } from '../../workflows/model/failure.ts';
import { factsFor, newKeyRing, testVault } from '../support/vault.ts';
import type { TestVault } from '../support/vault.ts';
import { withTempDir } from '../support/temp-dir.ts';

const POINT = '20260105T030004Z-1a2b3c4d-1';
const WAL = { systemId: '7312345678901234567', timeline: 1 };

async function makePoint(at: TestVault, point = POINT, source = 'shop'): Promise<Buffer[]> {
  const contents = [randomBytes(300_000), Buffer.alloc(500_000, 'abc'), randomBytes(70_000)];
  await using vault = at.open(at.store, { source });
  await using draft = await vault.begin(point);
  const parts = await Promise.all(contents.map((bytes, index) => draft.write(index + 1, Buffer.from(bytes))));
  await draft.finish(factsFor(parts, contents));
  await vault.publish(point);
  return contents;
}

const file = (at: TestVault, name: string, point = POINT): string => join(at.root, 'shop', 'points', point, name);

async function edit(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await writeFile(path, change(await readFile(path)));
}

async function refused(at: TestVault, type: string, point = POINT): Promise<void> {
  await using vault = at.open();
  await assert.rejects(
    vault.verify(point, () => {}),
    (error) => {
      assert.equal(failureTypeOf(error), type, String(error));
      return true;
    },
  );
}

test('an untouched backup verifies and gives back its bytes', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    const contents = await makePoint(at);
    await using vault = at.open();
    const reader = await vault.open(POINT);
    for (const part of reader.manifest.parts) assert.deepEqual(await reader.readPart(part), contents[part.number - 1]);
    assert.deepEqual(
      (await vault.points()).points.map((point) => point.point),
      [POINT],
    );
  });
});

const attacks: [string, (at: TestVault) => Promise<void>][] = [
  ['truncated part', (at) => edit(file(at, 'p000001'), (bytes) => bytes.subarray(0, -5000))],
  ['part cut at a frame', (at) => edit(file(at, 'p000001'), (bytes) => bytes.subarray(0, bytes.length - 70_000))],
  [
    'reordered parts',
    async (at) => {
      await rename(file(at, 'p000001'), file(at, 'x'));
      await rename(file(at, 'p000003'), file(at, 'p000001'));
      await rename(file(at, 'x'), file(at, 'p000003'));
    },
  ],
  [
    'part of another backup',
    async (at) => {
      await makePoint(at, 'other');
      await copyFile(file(at, 'p000001', 'other'), file(at, 'p000001'));
    },
  ],
  ['appended bytes', (at) => edit(file(at, 'p000002'), (bytes) => Buffer.concat([bytes, Buffer.from('more')]))],
  [
    'flipped bit in a part',
    (at) => edit(file(at, 'p000001'), (bytes) => ((bytes[100_000] = (bytes[100_000] ?? 0) ^ 1), bytes)),
  ],
  [
    'flipped bit in the manifest',
    (at) => edit(file(at, 'manifest'), (bytes) => ((bytes[bytes.length - 60] = bytes.at(-60) === 65 ? 66 : 65), bytes)),
  ],
  [
    'manifest of another point',
    async (at) => {
      await makePoint(at, 'other');
      await copyFile(file(at, 'manifest', 'other'), file(at, 'manifest'));
    },
  ],
  [
    'manifest of another source',
    async (at) => {
      await makePoint(at, POINT, 'crm');
      await copyFile(join(at.root, 'crm', 'points', POINT, 'manifest'), file(at, 'manifest'));
    },
  ],
  ['downgraded format', (at) => editJson(file(at, 'manifest'), { format: 'lifeboat-manifest/0' })],
  ['unsigned manifest', (at) => editJson(file(at, 'manifest'), { signature: '', signer: '' })],
  [
    'signature of a stranger',
    async (at) => {
      const stranger = await newKeyRing(join(at.keyDir, 'stranger'));
      const envelope = JSON.parse(await readFile(file(at, 'manifest'), 'utf8')) as Record<string, string>;
      const signature = sign(null, Buffer.from(envelope['body'] ?? ''), createPrivateKey(stranger.signing.privatePem));
      await editJson(file(at, 'manifest'), { signature: signature.toString('base64') });
    },
  ],
];

for (const [name, attack] of attacks) {
  test(`refused: ${name}`, async () => {
    await withTempDir(async (dir) => {
      const at = await testVault(dir);
      await makePoint(at);
      await attack(at);
      await refused(at, 'Integrity');
    });
  });
}

async function editJson(path: string, change: Record<string, string>): Promise<void> {
  await edit(path, (bytes) => Buffer.from(JSON.stringify({ ...(JSON.parse(bytes.toString()) as object), ...change })));
}

test('refused: missing part', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at);
    await rm(file(at, 'p000002'));
    await refused(at, 'NotFound');
  });
});

test('refused: a manifest of a later format says which lifeboat is too old', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at);
    await editJson(file(at, 'manifest'), { format: 'lifeboat-manifest/2' });
    await refused(at, 'Unsupported');
  });
});

test('refused: wrong root key, key file of another scope', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at);
    const other = await newKeyRing(join(dir, 'other-keys'));
    await using wrongKey = at.open(at.store, { keys: { ...at.keys, root: other.root } });
    await assert.rejects(wrongKey.open(POINT), (error) => failureTypeOf(error) === 'Denied');
    const folder = join(at.root, 'shop', 'keys');
    const [scope] = await readdir(folder);
    await makePoint(at, POINT, 'crm');
    await copyFile(join(at.root, 'crm', 'keys', scope ?? ''), join(folder, scope ?? ''));
    await refused(at, 'Integrity');
  });
});

test('WAL: a repeat is "present", other bytes, another position and another cluster are refused', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await using vault = at.open();
    const bytes = randomBytes(100_000);
    const piece = { ...WAL, startLsn: '0/3000000' };
    assert.equal(await vault.wal.put(piece, bytes), 'stored');
    assert.equal(await vault.wal.put(piece, bytes), 'present');
    await assert.rejects(vault.wal.put(piece, randomBytes(100_000)), (error) => failureTypeOf(error) === 'Integrity');
    const [object] = await vault.wal.list({ systemId: WAL.systemId });
    assert.ok(object);
    assert.deepEqual(await vault.wal.read(object), bytes);
    const moved = object.key
      .replace('0000000003000000-', '0000000004000000-')
      .replace(/-[0-9a-f]{16}$/, '-00000000040186a0');
    await copyFile(join(at.root, object.key), join(at.root, moved));
    const forged = (await vault.wal.list({ systemId: WAL.systemId, fromLsn: '0/4000000' }))[0];
    assert.ok(forged);
    await assert.rejects(vault.wal.read(forged), (error) => failureTypeOf(error) === 'Integrity');
    await edit(join(at.root, object.key), (stored) => Buffer.concat([stored, Buffer.from('tail')]));
    await assert.rejects(vault.wal.read(object), (error) => failureTypeOf(error) === 'Integrity');
  });
});

test('discard removes drafts of its run and nothing published', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at, 'run-1');
    await using vault = at.open();
    for (const point of ['run-2', 'run-3', 'sun-1']) {
      await using draft = await vault.begin(point);
      await draft.write(1, Buffer.alloc(1000));
    }
    assert.deepEqual(await vault.discard('run-', 'run-3'), { removed: 1 });
    assert.deepEqual((await readdir(join(at.root, 'shop', 'points', 'run-1'))).length, 4);
    assert.deepEqual((await readdir(join(at.root, 'shop', 'points', 'run-2'))).length, 0);
    assert.deepEqual((await readdir(join(at.root, 'shop', 'points', 'run-3'))).length, 1);
    assert.deepEqual((await vault.points()).points.length, 1);
  });
});
