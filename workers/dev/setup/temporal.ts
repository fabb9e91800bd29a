import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { failureFacts } from '../../../workflows/model/failure.ts';
import { localStack } from '../stack/compose-file.ts';
import { cacheFolder } from './cache.ts';
import { ensureFolder } from './folder.ts';
import { goProgram, runGo } from './go.ts';
import { findOnPath, runStep } from './program.ts';
import type { SetupContext, SetUpTool } from './tool.ts';

const OLDEST = [1, 9] as const;
const DOWNLOAD_LIMIT_MS = 90_000;

/** The Temporal CLI from PATH when it is new enough, else from the cache, else downloaded as the SDK does it, else built. */
export const setUpTemporal: SetUpTool = async (context) => {
  const onPath = await findOnPath('temporal');
  const version = onPath && (await versionOf(onPath, context));
  if (onPath && version && isRecent(version)) return { path: onPath, how: `${version} from PATH` };
  if (onPath) context.log(`${onPath} is ${version ?? 'unreadable'}, wanted ${OLDEST.join('.')} or later`);

  const wanted = localStack().temporal.version;
  const folder = join(cacheFolder(), `temporal-${wanted}`);
  let how = 'cache';
  await ensureFolder(folder, context, async (staging) => {
    how = (await download(wanted, staging, context)) ? 'downloaded' : await build(wanted, staging, context);
  });
  return { path: join(folder, 'temporal'), how: `${wanted}, ${how}` };
};

async function versionOf(program: string, { signal }: SetupContext): Promise<string | undefined> {
  const hint = 'remove it from PATH, or mend it';
  const text = await runStep({ program, args: ['--version'], hint, signal }).catch(() => '');
  return /version (\d+\.\d+\.\d+)/.exec(text)?.[1];
}

function isRecent(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** The SDK starts the server that it downloads; a process of its own because a download cannot be interrupted. */
async function download(version: string, staging: string, { log, signal }: SetupContext): Promise<boolean> {
  const folder = join(staging, 'download');
  await mkdir(folder);
  const testing = pathToFileURL(createRequire(import.meta.url).resolve('@temporalio/testing')).href;
  const server = { executable: { type: 'cached-download', version: `v${version}`, downloadDir: folder } };
  const script = `
    const { TestWorkflowEnvironment } = (await import(${JSON.stringify(testing)})).default;
    await (await TestWorkflowEnvironment.createLocal({ server: ${JSON.stringify(server)} })).teardown();`;
  try {
    log(`trying to download Temporal ${version}`);
    const args = ['--input-type=module', '--eval', script];
    const limit = AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_LIMIT_MS)]);
    await runStep({ program: process.execPath, args, hint: 'check the network', signal: limit });
    const [name = ''] = await readdir(folder);
    await rename(join(folder, name), join(staging, 'temporal'));
    return true;
  } catch (error) {
    signal.throwIfAborted();
    const said = /Error: .*/.exec(failureFacts(error).found ?? '')?.[0] ?? `nothing for ${DOWNLOAD_LIMIT_MS / 1000} s`;
    log(`no download of Temporal: ${said.slice(0, 200)}`);
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Its go.mod replaces a module by a folder, which `go install` refuses: a module of our own names that module's version. */
async function build(version: string, staging: string, context: SetupContext): Promise<string> {
  const go = await goProgram(`Temporal ${version}`);
  const { cliext, goVersion } = localStack().temporal.build;
  context.log(`building Temporal ${version} with Go (about 2 minutes, 6 with an empty Go cache)`);
  const source = join(staging, 'source');
  await mkdir(source);
  await writeFile(
    join(source, 'go.mod'),
    [
      'module lifeboat.local/temporal',
      `go ${goVersion}`,
      `replace github.com/temporalio/cli/cliext => github.com/temporalio/cli/cliext ${cliext}`,
      `require github.com/temporalio/cli v${version}`,
      'tool github.com/temporalio/cli/cmd/temporal',
      '',
    ].join('\n'),
  );
  await runGo(go, ['mod', 'tidy'], { cwd: source, context });
  const flags = `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${version}`;
  const output = join(staging, 'temporal');
  const target = 'github.com/temporalio/cli/cmd/temporal';
  await runGo(go, ['build', '-trimpath', '-ldflags', flags, '-o', output, target], { cwd: source, context });
  await rm(source, { recursive: true });
  return 'built with Go';
}
