import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { SetupContext } from './tool.ts';
import { withLock } from './lock.ts';

/**
 * The folder `path`, made by `fill` when it is not there. It is filled under another name and renamed, so that it exists
 * only when it is complete; two processes never make it at once; a repeat does nothing.
 */
export async function ensureFolder(
  path: string,
  context: SetupContext,
  fill: (staging: string) => Promise<void>,
): Promise<void> {
  if (existsSync(path)) return;
  const { log, signal } = context;
  const onWait = (): void => log(`waiting for another process that makes ${path}`);
  await withLock(`${path}.lock`, { onWait, signal }, async () => {
    if (existsSync(path)) return;
    await mkdir(dirname(path), { recursive: true });
    const staging = await mkdtemp(join(dirname(path), `.${basename(path)}-`));
    try {
      // Servers run as another user than the one who sets up.
      await chmod(staging, 0o755);
      await fill(staging);
      await rename(staging, path);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
}
