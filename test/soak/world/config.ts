import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Stack } from '../../../workers/dev/stack/index.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { serverUser } from '../../support/postgres.ts';
import { newKeyRing } from '../../support/vault.ts';
import type { SoakStore } from './store.ts';
import { SOURCE } from './runs.ts';

/** Newest full points that retention keeps; it runs when the soak orders it, and keeps no moment for its age. */
export const KEPT_FULLS = 2;

export interface Configured {
  stack: Stack;
  server: TestPostgres;
  store: SoakStore;
  /** Of restores. */
  scratch: string;
  /** How base backups are read. */
  read: 'local' | 'stream';
}

/** Writes lifeboat.yml and its keys; gives its path. */
export async function writeConfig({ stack, server, store, scratch, read }: Configured): Promise<string> {
  const { address, namespace } = stack.temporal;
  const keys = join(stack.dir, 'keys');
  await newKeyRing(keys);
  const runAs = process.getuid?.() === 0 ? { runAs: serverUser().name } : {};
  const config = {
    temporal: { address, namespace },
    keys: {
      root: { file: join(keys, 'root.key') },
      recovery: { public: join(keys, 'recovery.pub') },
      signing: { file: join(keys, 'signing.key') },
    },
    stores: { main: store.config },
    sources: {
      [SOURCE]: {
        ...{ kind: 'postgres', connection: server.connection, store: 'main', files: { read } },
        backup: { partSize: '1MiB', parallel: 2, chainLimit: 4 },
        // The seed alone says which backups there are.
        wal: { shipEvery: '300ms', heartbeatEvery: '1s', newBaseAfterHole: false },
        retention: { window: '0s', fulls: KEPT_FULLS },
        restore: { binaries: server.binaries, scratch, ...runAs, settings: { shared_buffers: '16MB' } },
      },
    },
  };
  const path = join(stack.dir, 'lifeboat.yml');
  await writeFile(path, stringify(config));
  return path;
}
