import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { after } from 'node:test';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import { filesystemStore } from '../../activities/stores/filesystem.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { joinCodecPool } from '../../activities/vault/codec/pool.ts';
import { createKeys, loadKeyRing, newKeysIn, openVault } from '../../activities/vault/index.ts';
import type { KeyRing, Vault, VaultOptions } from '../../activities/vault/vault.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { crc32c, crc32cCombine } from '../../activities/io/crc32c.ts';
import type { PartRef } from '../../workflows/model/manifest.ts';

/** An RSA key of 4096 bits takes seconds to make: this process makes one, for every ring. */
const recoveryKeys = once(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'lifeboat-test-keys-'));
  const paths = newKeysIn(dir);
  await createKeys(paths);
  const pems = { public: await readFile(paths.recoveryPublic), private: await readFile(paths.recoveryPrivate) };
  await rm(dir, { recursive: true });
  return pems;
});

export async function newKeyRing(dir: string): Promise<KeyRing> {
  await mkdir(dir, { recursive: true });
  const paths = newKeysIn(dir);
  const recovery = await recoveryKeys();
  const signing = generateKeyPairSync('ed25519');
  const files: [string, string | Buffer][] = [
    [paths.root, randomBytes(32).toString('base64')],
    [paths.signing, signing.privateKey.export({ type: 'pkcs8', format: 'pem' })],
    [paths.signingPublic, signing.publicKey.export({ type: 'spki', format: 'pem' })],
    [paths.recoveryPublic, recovery.public],
    [paths.recoveryPrivate, recovery.private],
  ];
  for (const [path, content] of files) await writeFile(path, content, { mode: 0o600 });
  return loadKeyRing({ root: paths.root, recoveryPublic: paths.recoveryPublic, signing: paths.signing, trusted: [] });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

export interface TestVault {
  store: StoreSession;
  keys: KeyRing;
  options: VaultOptions;
  run: Run;
  /** Folder of the store. */
  root: string;
  /** Folder of the key files. */
  keyDir: string;
  open(store?: StoreSession, overrides?: Partial<VaultOptions>): Promise<Vault>;
}

/** A vault on a folder store with fresh keys; `open` may be called with another store, source or keys. */
export async function testVault(dir: string, source = 'shop'): Promise<TestVault> {
  const run = plainRun();
  const root = join(dir, 'store');
  const keyDir = join(dir, 'keys');
  await mkdir(root, { recursive: true });
  const store = await filesystemStore.open({ path: root }, run);
  const keys = await newKeyRing(keyDir);
  const options: VaultOptions = { source, keys, compressionLevel: 3, partBytes: 1 << 20, parallel: 3, tool: 'test' };
  return {
    store,
    keys,
    options,
    run,
    root,
    keyDir,
    open: (other = store, overrides = {}) => openVault(other, { ...options, ...overrides }, run),
  };
}

/** Keeps the codec threads for all tests of a file: starting them takes longer than most tests. */
export function heldThreads(): void {
  const pool = joinCodecPool(new AbortController().signal);
  after(() => pool[Symbol.asyncDispose]());
}

export async function edit(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await writeFile(path, change(await readFile(path)));
}

export function flipBit(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

export interface MadePoint {
  point: string;
  source?: string;
  /** ISO 8601 UTC; absent: the same for all. */
  stoppedAt?: string;
  /** Changes the checksum that the manifest carries. */
  crc?(value: number): number;
}

/** Three parts, two of one length, published; their contents. */
export async function makePoint(at: TestVault, made: MadePoint): Promise<Buffer[]> {
  const contents = [randomBytes(300_000), Buffer.alloc(500_000, 'abc'), randomBytes(300_000)];
  await using vault = await at.open(at.store, { source: made.source ?? 'shop' });
  await using draft = await vault.begin(made.point);
  const parts = await Promise.all(contents.map((bytes, index) => draft.write(index + 1, Buffer.from(bytes))));
  const { stoppedAt } = made;
  await draft.finish({ ...factsFor(parts, contents, made.crc), ...(stoppedAt === undefined ? {} : { stoppedAt }) });
  await vault.publish(made.point);
  return contents;
}

/** Facts of a made-up backup of one tree with one file that fills the given parts. */
export function factsFor(parts: PartRef[], contents: Buffer[], crc = (value: number): number => value): BackupFacts {
  const slices = contents.map((bytes, index) => ({
    ...{ part: index + 1, at: 0, bytes: bytes.length },
    crc32c: crc(crc32c(bytes)),
  }));
  const mtime = '2026-01-05T03:00:00.000Z';
  const entry = {
    ...{ path: 'base/1/1', type: 'file' as const, mode: 0o600, mtime },
    bytes: contents.reduce((total, bytes) => total + bytes.length, 0),
    crc32c: slices.reduce((sum, slice) => crc32cCombine(sum, slice.crc32c, slice.bytes), 0),
    slices,
  };
  return {
    identity: {
      kind: 'postgres',
      systemId: '7312345678901234567',
      serverVersion: 180004,
      timeline: 1,
      segmentBytes: 1 << 24,
      sizeBytes: entry.bytes,
    },
    ...{
      timeline: 1,
      startLsn: '0/3000028',
      stopLsn: '0/3000158',
      startedAt: mtime,
      stoppedAt: '2026-01-05T03:00:05.000Z',
    },
    ...{ consistency: 'consistent-after-wal', pageChecksums: true, settings: { max_connections: '100' }, parts },
    trees: [{ id: 'base', files: [entry] }],
  };
}
