import assert from 'node:assert/strict';
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { edit, flipBit, heldThreads, makePoint, newKeyRing, testVault } from '../support/vault.ts';
import type { TestVault } from '../support/vault.ts';
import { withTempDir } from '../support/temp-dir.ts';

const POINT = '20260105T030004Z-1a2b3c4d-1';
const OTHER = '20260106T030004Z-5e6f7a8b-1';

heldThreads();

const file = (at: TestVault, name: string, point = POINT): string => join(at.root, 'shop', 'points', point, name);

interface Refusal {
  type: string;
  /** What says no: the check under attack, and not one that happens to stand before it. */
  by: RegExp;
}

async function refused(at: TestVault, { type, by }: Refusal): Promise<void> {
  await using vault = await at.open();
  await assert.rejects(
    vault.verify(POINT, () => {}),
    (error) => {
      assert.equal(failureTypeOf(error), type, String(error));
      assert.match(`${(error as Error).message} ${JSON.stringify(failureFacts(error))}`, by);
      return true;
    },
  );
}

interface Attack extends Refusal {
  name: string;
  /** Changes the store as somebody without keys could, or with keys of their own. */
  attack(at: TestVault): Promise<void>;
}

const attacks: Attack[] = [
  {
    ...{
      name: 'a copy without its key files',
      type: 'NotFound',
      by: /key file shop\/keys\/shop-\d{4}-\d\d\.1\.key is not in this vault.*bring shop\/keys\//,
    },
    attack: (at) => rm(join(at.root, 'shop', 'keys'), { recursive: true }),
  },
  {
    ...{ name: 'a part cut short', type: 'Integrity', by: /p000001: length/ },
    attack: (at) => edit(file(at, 'p000001'), (bytes) => bytes.subarray(0, -5000)),
  },
  {
    ...{ name: 'a part with bytes appended', type: 'Integrity', by: /p000002 is longer than it can be/ },
    attack: (at) => edit(file(at, 'p000002'), (bytes) => Buffer.concat([bytes, Buffer.from('more')])),
  },
  {
    ...{ name: 'a part with one bit flipped', type: 'Integrity', by: /p000001: SHA-256/ },
    attack: (at) => edit(file(at, 'p000001'), (bytes) => flipBit(bytes, 100_000)),
  },
  {
    ...{ name: 'a part that is missing', type: 'Integrity', by: /part 2 of .* is missing/ },
    attack: (at) => rm(file(at, 'p000002')),
  },
  {
    ...{ name: 'parts of one length in another order', type: 'Integrity', by: /p00000[13]: SHA-256/ },
    attack: (at) => swap(file(at, 'p000001'), file(at, 'p000003')),
  },
  {
    ...{ name: 'a part of another backup', type: 'Integrity', by: /p000001: (SHA-256|length)/ },
    attack: async (at) => {
      await makePoint(at, { point: OTHER });
      await copyFile(file(at, 'p000001', OTHER), file(at, 'p000001'));
    },
  },
  {
    ...{ name: 'a manifest cut short', type: 'Integrity', by: /bytes of something else/ },
    attack: (at) => edit(file(at, 'manifest'), (bytes) => bytes.subarray(0, -10)),
  },
  {
    ...{ name: 'a manifest with a blank appended', type: 'Integrity', by: /bytes of something else/ },
    attack: (at) => edit(file(at, 'manifest'), (bytes) => Buffer.concat([bytes, Buffer.from('\n')])),
  },
  {
    ...{ name: 'a manifest with one letter of its body changed', type: 'Integrity', by: /one that does not fit/ },
    attack: (at) => editEnvelope(at, ({ body = '' }) => ({ body: body.replace(/.{20}$/, 'AAAAAAAAAAAAAAAAAAAA') })),
  },
  {
    ...{ name: 'a manifest of another point', type: 'Integrity', by: new RegExp(`one of shop/${OTHER}`) },
    attack: async (at) => {
      await makePoint(at, { point: OTHER });
      await copyFile(file(at, 'manifest', OTHER), file(at, 'manifest'));
    },
  },
  {
    ...{ name: 'a manifest of another source', type: 'Integrity', by: new RegExp(`one of crm/${POINT}`) },
    attack: async (at) => {
      await makePoint(at, { point: POINT, source: 'crm' });
      await copyFile(join(at.root, 'crm', 'points', POINT, 'manifest'), file(at, 'manifest'));
    },
  },
  {
    ...{ name: 'a manifest of another point under this name', type: 'Integrity', by: /one that does not fit/ },
    attack: async (at) => {
      await makePoint(at, { point: OTHER });
      await copyFile(file(at, 'manifest', OTHER), file(at, 'manifest'));
      await editEnvelope(at, () => ({ point: POINT }));
    },
  },
  {
    ...{ name: 'a format below ours', type: 'Integrity', by: /lifeboat-manifest\/0/ },
    attack: (at) => editEnvelope(at, () => ({ format: 'lifeboat-manifest/0' })),
  },
  {
    ...{ name: 'a format that is none', type: 'Integrity', by: /tarball/ },
    attack: (at) => editEnvelope(at, () => ({ format: 'tarball' })),
  },
  {
    ...{ name: 'a format above ours', type: 'Unsupported', by: /written by a newer lifeboat.*newest lifeboat/ },
    attack: (at) => editEnvelope(at, () => ({ format: 'lifeboat-manifest/2' })),
  },
  {
    ...{ name: 'a manifest turned into a withdrawal', type: 'Integrity', by: /one that does not fit/ },
    attack: (at) => editEnvelope(at, () => ({ format: 'lifeboat-withdrawn/1' })),
  },
  {
    ...{ name: 'a manifest without a signature', type: 'Integrity', by: /one that does not fit/ },
    attack: (at) => editEnvelope(at, () => ({ signature: '' })),
  },
  {
    ...{ name: 'a manifest without a signer', type: 'Integrity', by: /one by nobody/ },
    attack: (at) => editEnvelope(at, () => ({ signature: '', signer: '' })),
  },
  {
    ...{ name: 'a manifest signed by a stranger', type: 'Integrity', by: /a signature by [0-9a-f]{16}.*one by/ },
    attack: (at) => signAsStranger(at, (stranger) => stranger),
  },
  {
    ...{ name: 'a manifest signed by a stranger in our name', type: 'Integrity', by: /one that does not fit/ },
    attack: (at) => signAsStranger(at, () => at.keys.signing.id),
  },
  {
    ...{ name: 'a manifest with a field that says more', type: 'Integrity', by: /bytes of something else/ },
    attack: (at) => editEnvelope(at, () => ({ also: 'this' })),
  },
];

for (const { name, attack, type, by } of attacks) {
  test(`refused: ${name}`, async () => {
    await withTempDir(async (dir) => {
      const at = await testVault(dir);
      await makePoint(at, { point: POINT });
      await attack(at);
      await refused(at, { type, by });
    });
  });
}

test('an untouched backup verifies and gives back its bytes', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    const contents = await makePoint(at, { point: POINT });
    await using vault = await at.open();
    const reader = await vault.open(POINT);
    for (const part of reader.manifest.parts) assert.deepEqual(await reader.readPart(part), contents[part.number - 1]);
    let seenBytes = 0;
    const verified = await vault.verify(POINT, (bytes) => (seenBytes += bytes));
    assert.equal(verified.parts, contents.length);
    assert.equal(seenBytes, verified.bytes);
  });
});

test('refused: a backup whose bytes are not those its files were made of', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at, { point: POINT, crc: (value) => (value ^ 1) >>> 0 });
    await refused(at, { type: 'Integrity', by: /base\/1\/1 is not what the manifest says/ });
  });
});

test('refused: a damaged point is reported, and hides no other', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at, { point: POINT });
    await makePoint(at, { point: OTHER });
    await editEnvelope(at, () => ({ signature: '' }));
    await using vault = await at.open();
    const { points, damaged } = await vault.points();
    assert.deepEqual(
      points.map(({ point }) => point),
      [OTHER],
    );
    assert.deepEqual(
      damaged.map(({ point }) => point),
      [POINT],
    );
    assert.match(damaged[0]?.reason ?? '', /not a manifest to trust/);
  });
});

async function swap(a: string, b: string): Promise<void> {
  await rename(a, `${a}-away`);
  await rename(b, a);
  await rename(`${a}-away`, b);
}

type Envelope = Record<string, string>;

async function editEnvelope(at: TestVault, change: (envelope: Envelope) => Envelope): Promise<void> {
  const path = file(at, 'manifest');
  const envelope = JSON.parse(await readFile(path, 'utf8')) as Envelope;
  await writeFile(path, JSON.stringify({ ...envelope, ...change(envelope) }));
}

/** A signature made as docs/format.md says, with a key that is not trusted. */
async function signAsStranger(at: TestVault, signerName: (stranger: string) => string): Promise<void> {
  const stranger = (await newKeyRing(join(at.keyDir, 'stranger'))).signing;
  await editEnvelope(at, ({ format = '', source = '', point = '', body = '' }) => {
    const signer = signerName(stranger.id);
    const digest = createHash('sha256').update(Buffer.from(body, 'base64')).digest('hex');
    const signed = Buffer.from([format, source, point, signer, digest].join('\n'));
    return { signer, signature: sign(null, signed, createPrivateKey(stranger.privatePem)).toString('base64') };
  });
}
