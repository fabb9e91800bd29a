import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import { filesystemStore } from '../../activities/stores/filesystem.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { createKeys, loadKeyRing, openVault } from '../../activities/vault/index.ts';
import type { NewKeys } from '../../activities/vault/index.ts';
import type { KeyRing, Vault, VaultOptions } from '../../activities/vault/vault.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import { crc32c } from '../../activities/io/crc32c.ts';
import type { PartRef } from '../../workflows/model/manifest.ts';

export function keyPaths(dir: string): NewKeys {
  return {
    root: join(dir, 'root.key'),
    signing: join(dir, 'signing.key'),
    signingPublic: join(dir, 'signing.pub'),
    recoveryPublic: join(dir, 'recovery.pub'),
    recoveryPrivate: join(dir, 'recovery.key'),
  };
}

export async function newKeyRing(dir: string): Promise<KeyRing> {
  await mkdir(dir, { recursive: true });
  const paths = keyPaths(dir);
  await createKeys(paths);
  return loadKeyRing({ root: paths.root, recoveryPublic: paths.recoveryPublic, signing: paths.signing, trusted: [] });
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
  open(store?: StoreSession, overrides?: Partial<VaultOptions>): Vault;
}

/** A vault on a folder store with fresh keys; `open` may be called with another store, source or keys. */
export async function testVault(dir: string, source = 'shop'): Promise<TestVault> {
  const run = plainRun();
  const root = join(dir, 'store');
  const keyDir = join(dir, 'keys');
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

/** Facts of a made-up backup of one tree with one file that fills the given parts. */
export function factsFor(parts: PartRef[], contents: Buffer[]): BackupFacts {
  const whole = Buffer.concat(contents);
  const slices = contents.map((bytes, index) => ({
    part: index + 1,
    at: 0,
    bytes: bytes.length,
    crc32c: crc32c(bytes),
  }));
  const mtime = '2026-01-05T03:00:00.000Z';
  const entry = {
    path: 'base/1/1',
    type: 'file' as const,
    mode: 0o600,
    mtime,
    bytes: whole.length,
    crc32c: crc32c(whole),
    slices,
  };
  return {
    identity: {
      kind: 'postgres',
      systemId: '7312345678901234567',
      serverVersion: 180004,
      timeline: 1,
      segmentBytes: 1 << 24,
      sizeBytes: whole.length,
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
