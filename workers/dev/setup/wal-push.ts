import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from './cache.ts';
import { ensureFolder } from './folder.ts';
import { goProgram, runGo } from './go.ts';
import type { SetupContext, SetUpTool } from './tool.ts';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), '../../../client/wal-push');
export const WAL_PUSH = 'lifeboat-wal-push';

/** The helper for archive_command and restore_command, of the source as it is now. */
export const setUpWalPush: SetUpTool = async (context) => {
  const hash = createHash('sha256');
  for (const name of ['main.go', 'fetch.go']) hash.update(await readFile(join(SOURCE, name)));
  const version = hash.digest('hex').slice(0, 12);
  const folder = join(cacheFolder(), `wal-push-${version}`);
  let how = 'cache';
  await ensureFolder(folder, context, async (staging) => {
    await buildWalPush(join(staging, WAL_PUSH), context);
    how = 'built with Go';
  });
  return { path: join(folder, WAL_PUSH), how: `${version}, ${how}` };
};

/** A static program without a line about this machine; `arch` as Go names it, default that of this host. */
export async function buildWalPush(target: string, context: SetupContext, arch?: string): Promise<void> {
  const go = await goProgram(WAL_PUSH);
  const env = { GOFLAGS: '-mod=mod', GOWORK: 'off', GOOS: 'linux', ...(arch === undefined ? {} : { GOARCH: arch }) };
  await runGo(go, ['build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w', '-o', target, '.'], {
    ...{ cwd: SOURCE, context, env },
  });
}
