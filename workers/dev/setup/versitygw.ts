import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { ensureFolder } from './folder.ts';
import { goProgram, runGo } from './go.ts';
import type { SetUpTool } from './tool.ts';
import { VERSITYGW_VERSION } from './versions.ts';

/** The S3 server of the tests, built by Go. */
export const setUpVersitygw: SetUpTool = async (context) => {
  const folder = join(cacheFolder(), `versitygw-${VERSITYGW_VERSION}`);
  let how = 'cache';
  await ensureFolder(folder, context, async (staging) => {
    const go = await goProgram('versitygw');
    context.log(`building versitygw ${VERSITYGW_VERSION} with Go (about 2 minutes)`);
    const target = `github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW_VERSION}`;
    await runGo(go, ['install', '-trimpath', target], { cwd: staging, context, env: { GOBIN: staging } });
    how = 'built with Go';
  });
  return { path: join(folder, 'versitygw'), how: `${VERSITYGW_VERSION}, ${how}` };
};
