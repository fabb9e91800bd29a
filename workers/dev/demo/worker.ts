import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKeys, newKeysIn } from '../../../activities/vault/index.ts';
import type { Stack, StackProcess } from '../stack/index.ts';
import { waitFor } from './wait-for.ts';

const WORKER = fileURLToPath(new URL('../../main.ts', import.meta.url));

export interface WorkerWish {
  /** Of the process. */
  name: string;
  /** Path of lifeboat.yml. */
  config: string;
  /** Name of the host that it looks after. */
  host: string;
  env: Record<string, string>;
  signal: AbortSignal;
}

/** Starts a worker as a process of the stack; resolves when it takes tasks. */
export async function startWorker(
  stack: Stack,
  { name, config, host, env, signal }: WorkerWish,
): Promise<StackProcess> {
  const worker = stack.spawn(name, process.execPath, [WORKER, config, host], { env });
  await waitFor({ file: worker.logFile, text: '"worker ready"', ended: worker.exited, signal });
  return worker;
}

/** Makes keys and an empty vault in the folder of the stack: what of lifeboat.yml says where they are. */
export async function makeVault({ dir, temporal }: Stack): Promise<Record<string, unknown>> {
  const keys = join(dir, 'keys');
  await mkdir(keys, { mode: 0o700 });
  const paths = newKeysIn(keys);
  await createKeys(paths);
  await mkdir(join(dir, 'vault'));
  return {
    temporal: { address: temporal.address, namespace: temporal.namespace, ui: temporal.ui },
    keys: {
      root: { file: paths.root },
      recovery: { public: paths.recoveryPublic },
      signing: { file: paths.signing },
    },
    stores: { local: { kind: 'filesystem', path: join(dir, 'vault') } },
  };
}
