import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { interruption } from './interruption.ts';
import { buildWalPush, WAL_PUSH } from './setup/wal-push.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const DIST = join(ROOT, 'dist');
/** What the compiler leaves behind: programs in other languages, beside the module that runs them. */
const ASSETS = '{workflows,activities,workers,client}/**/*.sh';

/** npm run build: JavaScript for the package in dist/, with the workflow bundle, so that a worker starts without webpack. */
async function build(signal: AbortSignal): Promise<void> {
  const staging = await mkdtemp(join(ROOT, '.dist-'));
  try {
    await step('compile', () =>
      runNode(
        [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'workers/dev/build.tsconfig.json', '--outDir', staging],
        signal,
      ),
    );
    await refuseSources(staging);
    for (const asset of globSync(ASSETS, { cwd: ROOT })) await cp(join(ROOT, asset), join(staging, asset));
    await step('build the helper for archive_command', () => buildPrograms(staging, signal));
    await step('bundle workflows', () => runNode(['--input-type=module', '--eval', bundleScript(staging)], signal));
    await replace(staging);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** For both kinds of hosts: the package is one for all. Where there is no Go, the package lacks it, and says so when it is called. */
async function buildPrograms(staging: string, signal: AbortSignal): Promise<void> {
  for (const [machine, arch] of Object.entries({ x86_64: 'amd64', aarch64: 'arm64' })) {
    const target = join(staging, 'bin', `${WAL_PUSH}-${machine}`);
    try {
      await buildWalPush(target, { log: (line) => console.error(line), signal }, arch);
    } catch (error) {
      signal.throwIfAborted();
      console.error(
        `lifeboat: no ${WAL_PUSH} for ${machine}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/** The compiler leaves `.ts` in imports that it has to rewrite for another reason as well: such a package cannot be loaded. */
async function refuseSources(staging: string): Promise<void> {
  const broken: string[] = [];
  for (const file of globSync('**/*.js', { cwd: staging })) {
    const text = await readFile(join(staging, file), 'utf8');
    if (/(?:\bfrom|\bimport)\s*\(?\s*['"]\.[^'"]*\.ts['"]/.test(text)) broken.push(file);
  }
  if (broken.length > 0) throw new Error(`imports of .ts files are left in ${broken.join(', ')}`);
}

/** From the compiled sources: that is what the installed package would bundle. */
function bundleScript(staging: string): string {
  const module = JSON.stringify(pathToFileURL(join(staging, 'workers/bundle.js')).href);
  const target = JSON.stringify(join(staging, 'workers/workflow-bundle.js'));
  return `const { writeBundle } = await import(${module}); await writeBundle(${target});`;
}

async function replace(staging: string): Promise<void> {
  const old = `${staging}-old`;
  if (existsSync(DIST)) await rename(DIST, old);
  await rename(staging, DIST);
  await rm(old, { recursive: true, force: true });
}

async function step(name: string, work: () => Promise<void>): Promise<void> {
  const startMs = performance.now();
  await work();
  console.error(`${name}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
}

async function runNode(args: string[], signal: AbortSignal): Promise<void> {
  // Whoever packs reads our standard output.
  const child = spawn(process.execPath, args, { cwd: ROOT, signal, stdio: ['ignore', 2, 2] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}`);
}

try {
  await build(interruption());
} catch (error) {
  console.error(`lifeboat: build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
