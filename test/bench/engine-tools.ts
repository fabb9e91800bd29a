import { readFile } from 'node:fs/promises';
import { sourceShape } from '../../activities/config/schema.ts';
import { plainRun } from '../../activities/io/run.ts';
import type { Run } from '../../activities/io/run.ts';
import type { PostgresOptions } from '../../activities/sources/postgres/options.ts';
import { postgresSchema } from '../../activities/sources/postgres/options.ts';
import type { WalVault } from '../../activities/sources/source.ts';
import type { StoreUse } from '../../activities/stores/open.ts';
import { openStore } from '../../activities/stores/open.ts';
import { loadKeyRing, openVault } from '../../activities/vault/index.ts';
import type { KeyRing, Vault } from '../../activities/vault/vault.ts';
import type { EngineJob } from './engine-job.ts';
import { keyFile } from './engine-job.ts';

/** What a configuration that says nothing of it means. */
export const DEFAULTS = { backup: sourceShape.backup.parse({}), wal: sourceShape.wal.parse({}) };
/** How a vault is opened, but for its source and keys. */
export const VAULT = {
  compressionLevel: DEFAULTS.backup.level,
  partBytes: DEFAULTS.backup.partSize,
  parallel: DEFAULTS.backup.parallel,
  tool: 'bench',
};

export type JobOf<Kind extends EngineJob['kind']> = EngineJob & { kind: Kind };
/** Milliseconds of named steps, bytes of named things. */
export type Facts = Record<string, number>;

/** What an engine works with. */
export interface Tools {
  vault: Vault;
  wal: WalVault;
  postgres: PostgresOptions;
  keys: KeyRing;
  run: Run;
}

export async function withTools<T>(job: EngineJob, use: (tools: Tools) => Promise<T>): Promise<T> {
  const run = plainRun();
  const keys = await loadKeyRing({
    root: keyFile(job, 'root.key'),
    recoveryPublic: keyFile(job, 'recovery.pub'),
    signing: keyFile(job, 'signing.key'),
    trusted: [],
  });
  await using store = await openStore(storeUse(job.store), run);
  await using vault = await openVault(store, { ...VAULT, source: 'bench', keys }, run);
  const postgres = postgresSchema.parse({
    connection: job.connection,
    restore: { binaries: job.binaries, runAs: job.runAs },
    ...(job.kind === 'backup' ? { files: { read: job.read } } : {}),
  });
  if (job.walStore === undefined) return await use({ vault, wal: vault.wal, postgres, keys, run });
  await using walStore = await openStore(storeUse(job.walStore), run);
  await using walVault = await openVault(walStore, { ...VAULT, source: 'bench', keys }, run);
  return await use({ vault, wal: walVault.wal, postgres, keys, run });
}

function storeUse(store: EngineJob['store']): StoreUse {
  return typeof store === 'string' ? { kind: 'filesystem', options: { path: store } } : store;
}

/** Of files and connections, by this process (proc(5), /proc/pid/io). */
export async function readBytes(): Promise<number> {
  return Number(/^rchar: (\d+)/m.exec(await readFile('/proc/self/io', 'utf8'))?.[1]);
}

export function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
