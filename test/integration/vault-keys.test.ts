import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKeyFile } from '../../activities/vault/keys/kek.ts';
import { contentsOf, changesOf } from '../support/bad-input.ts';
import { fakeHost } from '../support/cli-host.ts';
import type { Said } from '../support/cli-world.ts';
import { say } from '../support/cli-world.ts';
import { withTempDir } from '../support/temp-dir.ts';
import type { TestVault } from '../support/vault.ts';
import { edit, flipBit, heldThreads, makePoint, newKeyRing, testVault } from '../support/vault.ts';

const POINT = '20260105T030004Z-1a2b3c4d-1';
const OTHER = '20260106T030004Z-5e6f7a8b-1';
const EXIT = { usage: 2, config: 3, notFound: 4, precondition: 5, integrity: 6, denied: 12 };

heldThreads();

interface Rotation extends TestVault {
  dir: string;
  /** `lifeboat keys rewrap` with this vault's lifeboat.yml. */
  rewrap(...words: string[]): Promise<Said>;
  /** Path of a file of keys/. */
  key(name: string): string;
  /** A new root key takes the place of the one that is now root.old. */
  newRoot(): Promise<void>;
}

/** A vault of two sources with one point each, and the configuration for it. */
async function withRotation(callback: (at: Rotation) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const at = await testVault(dir);
    await makePoint(at, { point: POINT });
    await makePoint(at, { point: OTHER, source: 'crm' });
    const config = join(dir, 'lifeboat.yml');
    await writeFile(config, configOf('recovery: { public: keys/recovery.pub }, '));
    const key = (name: string): string => join(dir, 'keys', name);
    const newRoot = async (): Promise<void> => {
      await writeFile(key('root.old'), await readFile(key('root.key')), { mode: 0o600 });
      await writeFile(key('root.key'), `${randomBytes(32).toString('base64')}\n`);
    };
    const rewrap = (...words: string[]): Promise<Said> =>
      say(['keys', 'rewrap', ...words, '--config', config], fakeHost());
    await callback({ ...at, dir, rewrap, key, newRoot });
  });
}

function configOf(recovery: string, store = 'store'): string {
  const source = '{ kind: postgres, connection: { host: 127.0.0.1, user: u, database: d }, store: local }';
  return [
    `keys: { root: { file: keys/root.key }, ${recovery}signing: { file: keys/signing.key } }`,
    `stores: { local: { kind: filesystem, path: ${store} } }`,
    `sources: { shop: ${source}, crm: ${source} }`,
  ].join('\n');
}

/** Places of the key files of a source, in the store's folder. */
async function keyFiles(at: Rotation, source = 'shop'): Promise<string[]> {
  const folder = join(at.root, source, 'keys');
  return (await readdir(folder)).map((name) => join(folder, name));
}

/** One message and its exit code, and not one byte of the vault is another. */
async function refused(at: Rotation, words: string[], expected: { code: number; by: RegExp }): Promise<void> {
  const before = await contentsOf(at.root);
  const said = await at.rewrap(...words);
  assert.equal(said.code, expected.code, said.err + said.out);
  assert.match(said.err, expected.by);
  assert.match(said.err, /\n {2}next: /);
  assert.equal(said.err.match(/^lifeboat: /gm)?.length, 1);
  assert.equal(said.out, '');
  assert.deepEqual(changesOf(before, await contentsOf(at.root)), []);
}

test('keys rewrap: --dry-run writes nothing, then all sources, then nothing is left to do', async () => {
  await withRotation(async (at) => {
    await at.newRoot();
    const before = await contentsOf(at.root);
    const words = ['--from-root', at.key('root.old')];
    const dry = await at.rewrap(...words, '--dry-run');
    assert.equal(dry.code, 0, dry.err);
    assert.match(dry.out, /^shop in local: 1 key file to wrap for lifeboat-root\/.* and lifeboat-recovery\/.*, 0 were/);
    assert.match(dry.out, /nothing was written/);
    assert.deepEqual(changesOf(before, await contentsOf(at.root)), []);

    const { json } = await at.rewrap(...words, '--json');
    const sources = json['sources'] as { source: string; wrapped: string[]; already: string[] }[];
    assert.deepEqual([json['ok'], json['dryRun'], sources.length], [true, false, 2]);
    for (const { source, wrapped, already } of sources) {
      assert.deepEqual(
        wrapped,
        (await keyFiles(at, source)).map((path) => path.slice(at.root.length + 1)),
      );
      assert.deepEqual(already, []);
    }
    // Only the key files are others: backups stay as they are.
    const changed = changesOf(before, await contentsOf(at.root)).join('\n');
    assert.equal(changed.match(/\.key/g)?.length, 2, changed);
    assert.doesNotMatch(changed, /points/);

    const again = await at.rewrap(...words);
    assert.match(again.out, /^shop in local: 0 key files wrapped for .*, 1 were already\ncrm .*/);
    assert.match(again.out, /next: .*\n {2}lifeboat list shop, and lifeboat verify POINT\n.*\n {2}destroy .*root\.old/);
  });
});

test('keys rewrap of one source leaves the others; an unchanged root key is not one to destroy', async () => {
  await withRotation(async (at) => {
    const same = await at.rewrap('--from-root', at.key('root.key'));
    assert.match(same.out, /keep .*root\.key: it is still the root key/);
    assert.doesNotMatch(same.out, /destroy/);
    await at.newRoot();
    assert.equal((await at.rewrap('shop', '--from-root', at.key('root.old'))).code, 0);
    await refused(at, ['crm', '--from-root', at.key('root.key')], {
      code: EXIT.denied,
      by: /crm.* was not wrapped for/,
    });
  });
});

test('keys rewrap refuses, with one message and before anything is written', async () => {
  await withRotation(async (at) => {
    await at.newRoot();
    const old = ['--from-root', at.key('root.old')];
    await writeFile(at.key('strange'), randomBytes(32).toString('base64'), { mode: 0o600 });
    await writeFile(at.key('open'), await readFile(at.key('root.old')), { mode: 0o644 });
    await writeFile(at.key('other.pem'), rsaPem(), { mode: 0o600 });
    const both = [...old, '--from-recovery', at.key('recovery.key')];
    await refused(at, [], { code: EXIT.usage, by: /--from-root FILE or --from-recovery FILE, neither was given/ });
    await refused(at, both, { code: EXIT.usage, by: /not both/ });
    await refused(at, [...old, '--accept-unvouched'], { code: EXIT.usage, by: /needs --from-recovery/ });
    await refused(at, ['shp', ...old], { code: EXIT.notFound, by: /did you mean "shop"/ });
    await refused(at, ['--from-root', at.key('none')], { code: EXIT.notFound, by: /keys\/none does not exist/ });
    await refused(at, ['--from-root', at.key('open')], { code: EXIT.denied, by: /can be read by others/ });
    await refused(at, ['--from-root', at.key('recovery.key')], { code: EXIT.config, by: /32 random bytes in base64/ });
    await refused(at, ['--from-recovery', at.key('root.old')], { code: EXIT.config, by: /a key in PEM/ });
    await refused(at, ['--from-root', at.key('strange')], {
      code: EXIT.denied,
      by: /was not wrapped for lifeboat-root\//,
    });
    const other = ['--from-recovery', at.key('other.pem')];
    await refused(at, other, { code: EXIT.denied, by: /was not wrapped for lifeboat-recovery\// });

    // The second source's key file is damaged: the first one's stays, too.
    const [path = ''] = await keyFiles(at, 'crm');
    const whole = await readFile(path);
    await writeFile(path, Buffer.concat([whole, Buffer.from('more')]));
    await refused(at, old, { code: EXIT.integrity, by: /crm.*is not the key file of/ });
    await writeFile(path, whole);

    await writeFile(join(at.dir, 'lifeboat.yml'), configOf(''));
    await refused(at, old, { code: EXIT.precondition, by: /would lose its recovery key/ });
    await writeFile(join(at.dir, 'lifeboat.yml'), configOf('recovery: { public: keys/recovery.pub }, ', 'away'));
    await refused(at, old, { code: EXIT.notFound, by: /away/ });
  });
});

test('keys rewrap opens with the new root key also what names it already', async () => {
  await withRotation(async (at) => {
    const [path = ''] = await keyFiles(at, 'crm');
    await edit(path, (bytes) => flipBit(bytes, bytes.length - 1));
    const by = /crm.* is not the key file of/;
    await refused(at, ['--from-root', at.key('root.key')], { code: EXIT.integrity, by });
  });
});

test('what the root key opens needs no manifest', async () => {
  await withRotation(async (at) => {
    await at.newRoot();
    await rm(join(at.root, 'shop/points'), { recursive: true });
    const said = await at.rewrap('--from-root', at.key('root.old'));
    assert.equal(said.code, 0, said.err);
    assert.doesNotMatch(said.out, /vouches/);
  });
});

test('keys rewrap that finds no key file is no success', async () => {
  await withRotation(async (at) => {
    for (const source of ['shop', 'crm']) await rm(join(at.root, source, 'keys'), { recursive: true });
    const by = /there is no key file of shop, crm in store local/;
    await refused(at, ['--from-root', at.key('root.key')], { code: EXIT.notFound, by });
  });
});

test('with the recovery key, a key file that somebody planted is refused by name', async () => {
  await withRotation(async (at) => {
    // Who can write to the store knows the public half of the recovery key; the root key is their own.
    const theirs = { ...(await newKeyRing(join(at.dir, 'theirs'))), recoveryPublic: at.keys.recoveryPublic ?? '' };
    const month = `shop-${new Date().toISOString().slice(0, 7)}`;
    const plant = async (version: number): Promise<void> => {
      const place = `shop/keys/${month}.${version}.key`;
      const file = createKeyFile(theirs, { scope: month, version, source: 'shop', place });
      await writeFile(join(at.root, place), file);
    };
    await at.newRoot();
    const words = ['--from-recovery', at.key('recovery.key')];

    await plant(2);
    const by = new RegExp(`no signed manifest vouches for shop/keys/${month}.2.key`);
    await refused(at, words, { code: EXIT.precondition, by });
    await refused(at, [...words, '--dry-run'], { code: EXIT.precondition, by });
    await rm(join(at.root, `shop/keys/${month}.2.key`));

    const real = join(at.root, `shop/keys/${month}.1.key`);
    const genuine = await readFile(real);
    await plant(1);
    const another = { code: EXIT.integrity, by: /holds another key than the one its backups were made with/ };
    await refused(at, words, another);
    await refused(at, [...words, '--accept-unvouched'], another);
    await writeFile(real, genuine);

    // A signature that does not hold vouches for nothing.
    const manifest = join(at.root, 'shop/points', POINT, 'manifest');
    const signed = await readFile(manifest, 'utf8');
    await writeFile(
      manifest,
      signed.replace(/"signature":"./, (text) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')),
    );
    await refused(at, words, { code: EXIT.precondition, by: new RegExp(`vouches for shop/keys/${month}.1.key`) });
    const accepted = await at.rewrap(...words, '--accept-unvouched');
    assert.equal(accepted.code, 0, accepted.err);
    assert.match(
      accepted.out,
      new RegExp(`${month}.1.key: no signed manifest vouches for it; WAL under it is no more`),
    );
    assert.doesNotMatch(accepted.out, /crm.*vouches/);
  });
});

test('with root and signing key lost: nothing vouches until keys.trusted names the old signing key', async () => {
  await withRotation(async (at) => {
    await at.newRoot();
    const { privateKey } = generateKeyPairSync('ed25519');
    await rename(at.key('signing.pub'), at.key('old.pub'));
    await writeFile(at.key('signing.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const words = ['--from-recovery', at.key('recovery.key')];
    await refused(at, words, {
      code: EXIT.precondition,
      by: /no signed manifest vouches for shop.*, crm.*keys\.trusted/s,
    });
    const more = 'recovery: { public: keys/recovery.pub }, trusted: [{ file: keys/old.pub }], ';
    await writeFile(join(at.dir, 'lifeboat.yml'), configOf(more));
    assert.match(
      (await at.rewrap(...words)).out,
      /^shop in local: 1 key file wrapped .*\ncrm in local: 1 key file wrapped /,
    );
  });
});

test('keys rewrap that is interrupted says so, and that it may be given again', async () => {
  await withRotation(async (at) => {
    await at.newRoot();
    const host = fakeHost();
    host.interrupt();
    const before = await contentsOf(at.root);
    const words = ['keys', 'rewrap', '--from-root', at.key('root.old'), '--config', join(at.dir, 'lifeboat.yml')];
    const said = await say(words, host);
    assert.equal(said.code, 130, said.err);
    assert.match(said.err, /interrupted\n {2}next: give it again/);
    assert.deepEqual(changesOf(before, await contentsOf(at.root)), []);
  });
});

test('with the root key, a planted key file does not open, whoever signed what', async () => {
  await withRotation(async (at) => {
    const theirs = { ...(await newKeyRing(join(at.dir, 'theirs'))), recoveryPublic: at.keys.recoveryPublic ?? '' };
    const impostor = { ...theirs, root: { id: at.keys.root.id, key: theirs.root.key } };
    const place = 'shop/keys/shop-2026-01.1.key';
    const file = createKeyFile(impostor, { scope: 'shop-2026-01', version: 1, source: 'shop', place });
    await writeFile(join(at.root, place), file);
    await at.newRoot();
    await refused(at, ['--from-root', at.key('root.old')], { code: EXIT.integrity, by: /shop-2026-01.1.key is not/ });
  });
});

function rsaPem(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}
