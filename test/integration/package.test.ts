import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withServerDir } from '../support/postgres.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The registry decides how long. */
const LONG = { timeout: 900_000 };

/** How the registry is reached on this machine. */
const REGISTRY = /^(npm_config_(registry|cafile|ca|proxy|https_proxy|noproxy|strict_ssl)|NODE_EXTRA_CA_CERTS)$/i;

/** Without what npm tells the scripts that it runs: an npm below it would take it for its own settings. */
function plainEnvironment(): Record<string, string> {
  const isOfRunner = (name: string): boolean => /^(npm_|NODE_|LIFEBOAT_(?!CACHE))/i.test(name) && !REGISTRY.test(name);
  const entries = Object.entries(process.env).filter(([name]) => !isOfRunner(name));
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function run(cwd: string, program: string, args: string[]): Promise<Ended> {
  const child = spawn(program, args, { cwd, env: plainEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

async function runWell(cwd: string, program: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(cwd, program, args);
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** Packs, and installs what was packed into an empty folder, from the registry as a user does. */
async function install(dir: string): Promise<void> {
  await runWell(ROOT, 'npm', ['pack', '--pack-destination', dir]);
  const [tarball] = (await readdir(dir)).filter((name) => name.endsWith('.tgz'));
  assert.ok(tarball, 'npm pack made no package');
  await writeFile(join(dir, 'package.json'), '{ "private": true }\n');
  await runWell(dir, 'npm', ['install', `./${tarball}`]);
}

test('the package installs into an empty folder, and does there what it does in a checkout', LONG, async (t) => {
  const online = (await run(ROOT, 'npm', ['view', 'zod', 'version'])).code === 0;
  if (!online) return t.skip('the npm registry cannot be reached');
  await withServerDir(async (dir) => {
    await install(dir);
    const lifeboat = (...words: string[]): Promise<string> =>
      runWell(dir, 'npx', ['--no-install', 'lifeboat', ...words]);
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };

    await t.test('holds no sources, and the workflows as one file', () => {
      const inside = join(dir, 'node_modules/lifeboat');
      assert.deepEqual(
        ['client/cli.ts', 'test', 'dist/workers/workflow-bundle.js'].map((path) => existsSync(join(inside, path))),
        [false, false, true],
      );
    });

    await t.test('says its version and its help', async () => {
      assert.equal((await lifeboat('--version')).trim(), version);
      assert.match(await lifeboat('--help'), /^Usage: lifeboat COMMAND/);
      assert.match(await lifeboat('restore', '--help'), /--to-time/);
    });

    await t.test('writes a configuration that it takes', async () => {
      await lifeboat('init', '--dir', 'made');
      const check = await run(dir, 'npx', [
        '--no-install',
        'lifeboat',
        'config',
        'check',
        '--config',
        'made/lifeboat.yml',
      ]);
      // Nothing is wrong with it but the password that only the user has.
      assert.equal(check.code, 3);
      assert.match(check.stderr, /SHOP_PASSWORD/);
    });

    await t.test('runs the local stack, a backup and a drill', async () => {
      await withDevStack(dir, async (config) => {
        assert.match(await lifeboat('backup', 'shop', '--config', config), /^point +shop\//m);
        assert.match(await lifeboat('drill', 'shop', '--config', config), /recovered .* and proven/);
      });
    });
  });
});

/** `lifeboat dev` of the package while the callback runs, ended by Ctrl-C. */
async function withDevStack(dir: string, callback: (config: string) => Promise<void>): Promise<void> {
  const program = join(dir, 'node_modules/.bin/lifeboat');
  const stack = spawn(program, ['dev', '--ports', 'free', '--dir', 'stack'], {
    cwd: dir,
    env: plainEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  stack.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const ended = once(stack, 'exit') as Promise<[number | null]>;
  const state = { running: true };
  void ended.then(() => (state.running = false));
  try {
    while (state.running && !said.includes('Ctrl-C')) await delay(50);
    assert.ok(state.running, said);
    await callback(join(dir, 'stack/lifeboat.yml'));
  } finally {
    stack.kill('SIGINT');
    const [code] = await ended;
    assert.equal(code, 0, said);
  }
}
