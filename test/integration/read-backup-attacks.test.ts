import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CommandResult } from '../../activities/io/run-command.ts';
import { readHeader } from '../../activities/vault/message.ts';
import { formatLsn } from '../../workflows/model/lsn.ts';
import { readBackup } from '../support/read-backup.ts';
import { withTempDir } from '../support/temp-dir.ts';
import { edit, flipBit, heldThreads, makePoint, newKeyRing, testVault } from '../support/vault.ts';
import type { TestVault } from '../support/vault.ts';

heldThreads();

const POINT = '20260105T030004Z-1a2b3c4d-1';
const OTHER = '20260106T030004Z-5e6f7a8b-1';
/** A made-up point has no WAL, which is looked at last: this refusal says that everything else was good. */
const ALL_BUT_WAL = /WAL ends at 0\/3000000, before 0\/3000158/;

const file = (at: TestVault, name: string, point = POINT): string => join(at.root, 'shop', 'points', point, name);

interface Given {
  key?: string[];
  signer?: string[];
  point?: string;
}

function read(at: TestVault, into: string, given: Given = {}): Promise<CommandResult> {
  const { key = ['--root-key', join(at.keyDir, 'root.key')] } = given;
  const { signer = ['--signer', join(at.keyDir, 'signing.pub')], point = POINT } = given;
  const place = ['--vault', at.root, '--source', 'shop', '--point', point, '--into', into];
  return readBackup(...place, ...key, ...signer);
}

async function keyFile(at: TestVault): Promise<string> {
  const folder = join(at.root, 'shop', 'keys');
  const [name = ''] = await readdir(folder);
  return join(folder, name);
}

interface Attack {
  name: string;
  says: RegExp;
  /** Changes the store; what it returns is what the reader is called with. */
  attack(at: TestVault): Promise<void | Given>;
}

const attacks: Attack[] = [
  { name: 'nothing', says: ALL_BUT_WAL, attack: async () => {} },
  {
    ...{ name: 'nothing, with the recovery key', says: ALL_BUT_WAL },
    attack: async (at) => ({ key: ['--recovery-key', join(at.keyDir, 'recovery.key')] }),
  },
  {
    ...{ name: 'a part with one bit flipped', says: /p000001 is damaged or was changed: its SHA-256/ },
    attack: (at) => edit(file(at, 'p000001'), (bytes) => flipBit(bytes, 100_000)),
  },
  {
    ...{ name: 'a part cut short', says: /p000001 has \d+ bytes: expected \d+/ },
    attack: (at) => edit(file(at, 'p000001'), (bytes) => bytes.subarray(0, -5000)),
  },
  {
    ...{ name: 'a part with bytes appended', says: /p000002 has \d+ bytes: expected \d+/ },
    attack: (at) => edit(file(at, 'p000002'), (bytes) => Buffer.concat([bytes, Buffer.from('more')])),
  },
  {
    ...{ name: 'a part that is missing', says: /p000003 is not in the vault/ },
    attack: (at) => rm(file(at, 'p000003')),
  },
  {
    ...{ name: 'parts of one length in another order', says: /p000001 is damaged or was changed/ },
    attack: async (at) => {
      await rename(file(at, 'p000001'), file(at, 'away'));
      await rename(file(at, 'p000003'), file(at, 'p000001'));
      await rename(file(at, 'away'), file(at, 'p000003'));
    },
  },
  {
    ...{ name: 'a file that the server did not read so', says: /came out of part 1 with another CRC-32C/ },
    attack: async (at) => {
      await makePoint(at, { point: OTHER, crc: (value) => (value ^ 1) >>> 0 });
      return { point: OTHER };
    },
  },
  {
    ...{ name: 'a manifest of another point', says: new RegExp(`is the manifest of shop/${OTHER}`) },
    attack: async (at) => {
      await makePoint(at, { point: OTHER });
      await copyFile(file(at, 'manifest', OTHER), file(at, 'manifest'));
    },
  },
  {
    ...{ name: 'a manifest that took the place of another', says: /has a signature that does not fit/ },
    attack: async (at) => {
      await makePoint(at, { point: OTHER });
      await copyFile(file(at, 'manifest', OTHER), file(at, 'manifest'));
      await editEnvelope(at, { point: POINT });
    },
  },
  {
    ...{ name: 'the same when nobody asks for the signature', says: /something else: expected artefact=manifest/ },
    attack: async (at) => {
      await makePoint(at, { point: OTHER });
      await copyFile(file(at, 'manifest', OTHER), file(at, 'manifest'));
      await editEnvelope(at, { point: POINT });
      return { signer: ['--unverified'] };
    },
  },
  {
    ...{ name: 'a body with one bit flipped, and no signature asked for', says: /its bytes are not authentic/ },
    attack: async (at) => {
      const { body = '' } = JSON.parse(await readFile(file(at, 'manifest'), 'utf8')) as Record<string, string>;
      const bytes = Buffer.from(body, 'base64');
      await editEnvelope(at, { body: flipBit(bytes, bytes.length - 100).toString('base64') });
      return { signer: ['--unverified'] };
    },
  },
  {
    ...{ name: 'a manifest with a blank appended', says: /not a signed manifest in its one form/ },
    attack: (at) => edit(file(at, 'manifest'), (bytes) => Buffer.concat([bytes, Buffer.from('\n')])),
  },
  {
    ...{ name: 'a manifest of a newer format', says: /has format lifeboat-manifest\/2/ },
    attack: (at) => editEnvelope(at, { format: 'lifeboat-manifest/2' }),
  },
  {
    ...{ name: 'a point that was withdrawn', says: /was withdrawn: it never became a backup/ },
    attack: async (at) => {
      await using vault = await at.open();
      await using draft = await vault.begin(OTHER);
      await draft.write(1, Buffer.from('part of a backup that was given up'));
      await copyFile(file(at, 'manifest'), file(at, 'draft', OTHER));
      await vault.discard(OTHER);
      return { point: OTHER };
    },
  },
  {
    ...{ name: 'a signer that is a stranger', says: /is signed by [0-9a-f]{16}: expected [0-9a-f]{16}/ },
    attack: async (at) => {
      await newKeyRing(join(at.keyDir, 'stranger'));
      return { signer: ['--signer', join(at.keyDir, 'stranger', 'signing.pub')] };
    },
  },
  {
    ...{
      name: 'a root key of another vault',
      says: /cannot be opened with lifeboat-root\/[0-9a-f]{16}: it was made for/,
    },
    attack: async (at) => {
      await newKeyRing(join(at.keyDir, 'stranger'));
      return { key: ['--root-key', join(at.keyDir, 'stranger', 'root.key')] };
    },
  },
  {
    ...{ name: 'a root key that is none', says: /is no root key: expected 32 bytes in base64/ },
    attack: async (at) => ({ key: ['--root-key', join(at.keyDir, 'signing.pub')] }),
  },
  {
    ...{ name: 'a recovery key that is another kind', says: /is no RSA key/ },
    attack: async (at) => ({ key: ['--recovery-key', join(at.keyDir, 'signing.key')] }),
  },
  {
    ...{
      name: 'a key file with one bit flipped',
      says: /keys\/shop-.*\.key (is damaged|names a key that does not open it)/,
    },
    attack: async (at) => edit(await keyFile(at), (bytes) => flipBit(bytes, bytes.length - 3)),
  },
  {
    ...{ name: 'a folder that holds something', says: /by-hand exists: name a new or empty folder/ },
    attack: async (at) => {
      await mkdir(join(at.root, '..', 'by-hand'));
      await writeFile(join(at.root, '..', 'by-hand', 'precious'), '');
    },
  },
];

for (const { name, says, attack } of attacks) {
  test(`read-backup.py against ${name}`, async () => {
    await withTempDir(async (dir) => {
      const at = await testVault(dir);
      await makePoint(at, { point: POINT });
      const given = await attack(at);
      const { code, stdout, stderr } = await read(at, join(dir, 'by-hand'), given ?? {});
      assert.match(stderr, says);
      assert.match(stderr, /^read-backup: [^\n]*\n$/, 'one line');
      assert.deepEqual([code, stdout], [1, '']);
    });
  });
}

const SYSTEM = '7312345678901234567';
const PIECE_BYTES = 200_000;
const FRAME_BYTES = 4 + 12 + 64 * 1024 + 16;

/** Three pieces of WAL in a row from the start of the point's segment; paths and content in order. */
async function addWal(at: TestVault): Promise<{ paths: string[]; content: Buffer }> {
  const content = randomBytes(3 * PIECE_BYTES);
  const startLsns = [0, 1, 2].map((index) => formatLsn(0x3000000n + BigInt(index * PIECE_BYTES)));
  await using vault = await at.open();
  for (const [index, startLsn] of startLsns.entries()) {
    const bytes = Buffer.from(content.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES));
    await vault.wal.put({ systemId: SYSTEM, timeline: 1, startLsn, lastCommitMicros: 1_767_582_000_000_000 }, bytes);
  }
  const objects = await vault.wal.list({ systemId: SYSTEM });
  return { paths: objects.map(({ key }) => join(at.root, key)), content };
}

const walAttacks: { name: string; says: RegExp; attack(paths: string[]): Promise<void> }[] = [
  {
    ...{ name: 'bytes behind its end', says: /has 4 bytes behind its end/ },
    attack: ([path = '']) => edit(path, (bytes) => Buffer.concat([bytes, Buffer.from('more')])),
  },
  {
    ...{ name: 'its last frame cut off', says: /is cut at \d+ bytes/ },
    attack: ([path = '']) => edit(path, (bytes) => bytes.subarray(0, headerBytes(bytes) + FRAME_BYTES)),
  },
  {
    ...{ name: 'two frames exchanged', says: /has its frames in another order/ },
    attack: ([path = '']) =>
      edit(path, (bytes) => {
        const [a, b, c] = [0, 1, 2].map((index) => headerBytes(bytes) + index * FRAME_BYTES);
        return Buffer.concat([bytes.subarray(0, a), bytes.subarray(b, c), bytes.subarray(a, b), bytes.subarray(c)]);
      }),
  },
  {
    ...{ name: 'one bit of its header flipped', says: /is (bound to another data key|damaged or was changed)/ },
    attack: ([path = '']) => edit(path, (bytes) => flipBit(bytes, headerBytes(bytes) - 20)),
  },
  {
    ...{ name: 'one bit of its last frame flipped', says: /its bytes are not authentic/ },
    attack: ([path = '']) => edit(path, (bytes) => flipBit(bytes, bytes.length - 1)),
  },
  {
    ...{ name: 'the name of its neighbour', says: /is something else: expected artefact=wal/ },
    attack: ([first = '', second = '']) => copyFile(second, first),
  },
];

/** It differs from object to object: names of keys and places are in it. */
function headerBytes(bytes: Buffer): number {
  return readHeader(bytes, 'attacked').headerBytes;
}

for (const { name, says, attack } of walAttacks) {
  test(`read-backup.py against WAL with ${name}`, async () => {
    await withTempDir(async (dir) => {
      const at = await testVault(dir);
      await makePoint(at, { point: POINT });
      await attack((await addWal(at)).paths);
      const { code, stderr } = await read(at, join(dir, 'by-hand'));
      assert.match(stderr, says);
      assert.match(stderr, /^read-backup: [^\n]*\n$/, 'one line');
      assert.deepEqual([code, existsSync(join(dir, 'by-hand'))], [1, false]);
    });
  });
}

test('read-backup.py exports WAL up to the first hole, and names it', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    const [contents, { paths, content }] = [await makePoint(at, { point: POINT }), await addWal(at)];
    const segment = Buffer.alloc(1 << 24);
    content.copy(segment);
    const segmentFile = (into: string): string => join(dir, into, 'wal', '000000010000000000000003');

    const whole = await read(at, join(dir, 'whole'));
    assert.deepEqual([whole.code, whole.stderr], [0, '']);
    assert.ok((await readFile(segmentFile('whole'))).equals(segment));
    assert.ok((await readFile(join(dir, 'whole', 'data', 'base', '1', '1'))).equals(Buffer.concat(contents)));

    await rm(paths[1] ?? '');
    const { code, stderr } = await read(at, join(dir, 'holed'));
    assert.equal(code, 0);
    assert.match(
      stderr,
      /^WAL of timeline 1 has a hole from 0\/3030D40 to 0\/3061A80: what is behind it is left out\n$/,
    );
    assert.ok((await readFile(segmentFile('holed'))).equals(segment.fill(0, PIECE_BYTES)));
  });
});

test('read-backup.py lists what is there, and tells a damaged point from a good one', async () => {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at, { point: POINT });
    await makePoint(at, { point: OTHER });
    const list = ['--vault', at.root, '--source', 'shop', '--list'];
    const keys = ['--root-key', join(at.keyDir, 'root.key'), '--signer', join(at.keyDir, 'signing.pub')];
    const line = (point: string): string =>
      `${point}  full  2026-01-05T03:00:05.000Z  PostgreSQL 18  timeline 1  0/3000028 to 0/3000158  1100000 bytes\n`;
    assert.deepEqual(await readBackup(...list, ...keys), { code: 0, stdout: line(POINT) + line(OTHER), stderr: '' });
    assert.equal((await readBackup(...list)).stdout, `${POINT}  not verified\n${OTHER}  not verified\n`);
    await editEnvelope(at, { signature: '' });
    const { code, stdout } = await readBackup(...list, ...keys);
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`^${POINT}  damaged: .*does not fit\n${OTHER}  full  2026`));
  });
});

test('read-backup.py tells a vault or source that is not there from an empty one', async () => {
  await withTempDir(async (dir) => {
    const list = (vault: string): Promise<CommandResult> => readBackup('--vault', vault, '--source', 'shop', '--list');
    const [away, empty] = [await list(join(dir, 'away')), await list(dir)];
    assert.deepEqual([away.code, empty.code], [1, 1]);
    assert.match(away.stderr, /^read-backup: .*No such file or directory: .*away.*\n$/);
    assert.match(empty.stderr, /^read-backup: .* holds no source shop\n$/);
  });
});

test('read-backup.py asks who signed, unless it is told not to', async () => {
  const key = ['--root-key', 'root.key'];
  const { code, stderr } = await readBackup('--vault', '/x', '--source', 's', '--point', 'p', '--into', '/y', ...key);
  assert.equal(code, 2);
  assert.match(stderr, /--point needs --signer, or --unverified/);
});

async function editEnvelope(at: TestVault, change: Record<string, string>): Promise<void> {
  const path = file(at, 'manifest');
  const envelope = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
  await writeFile(path, JSON.stringify({ ...envelope, ...change }));
}
