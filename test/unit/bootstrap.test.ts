import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withTempDir } from '../support/temp-dir.ts';

const BOOTSTRAP = fileURLToPath(new URL('../../workers/dev/bootstrap.mjs', import.meta.url));

/** Tells its arguments and each SIGINT; ends with 7 on SIGTERM, and when the one that started it has gone. */
const TASK = `
  process.on('SIGINT', () => console.log('interrupted'));
  process.on('SIGTERM', () => process.exit(7));
  process.on('disconnect', () => process.exit(8));
  setInterval(() => {}, 60_000);
  console.log(process.argv.slice(2).join(' '));`;

/** npm ci, as far as the packages' list is concerned. */
const NPM = `
  import { copyFileSync } from 'node:fs';
  if (process.argv[2] !== 'ci') process.exit(9);
  copyFileSync('package-lock.json', 'node_modules/.package-lock.json');
  console.error('npm ci ran');`;

interface Started {
  child: ChildProcess;
  /** Waits until the text was said. */
  until(text: string): Promise<void>;
  said(): string;
}

async function withCheckout(
  installed: string,
  callback: (start: (...words: string[]) => Started) => Promise<void>,
): Promise<void> {
  await withTempDir(async (dir) => {
    await mkdir(join(dir, 'workers/dev'), { recursive: true });
    await mkdir(join(dir, 'node_modules/.bin'), { recursive: true });
    await cp(BOOTSTRAP, join(dir, 'workers/dev/bootstrap.mjs'));
    await writeFile(join(dir, 'workers/dev/test.ts'), TASK);
    await writeFile(join(dir, 'npm.mjs'), NPM);
    await writeFile(join(dir, 'npm.js'), "import('./npm.mjs');");
    const lock = (version: string): string => JSON.stringify({ packages: { '': {}, 'node_modules/a': { version } } });
    await writeFile(join(dir, 'package-lock.json'), lock('1.0.1'));
    await writeFile(join(dir, 'node_modules/.package-lock.json'), lock(installed));
    await symlink(process.execPath, join(dir, 'node_modules/.bin/node'));
    await callback((...words) => start(dir, words));
    assert.equal(await readFile(join(dir, 'node_modules/.package-lock.json'), 'utf8'), lock('1.0.1'));
  });
}

function start(dir: string, words: string[]): Started {
  const child = spawn(process.execPath, [join(dir, 'workers/dev/bootstrap.mjs'), ...words], {
    env: { ...process.env, npm_execpath: join(dir, 'npm.js') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const closed = once(child, 'close').then(() => Promise.reject(new Error(`it ended, having said: ${said}`)));
  closed.catch(() => {});
  const until = async (text: string): Promise<void> => {
    while (!said.includes(text)) await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), closed]);
  };
  return { child, until, said: () => said };
}

test('a task gets its arguments and one interrupt for one key press, and its exit code comes back', async () => {
  await withCheckout('1.0.1', async (run) => {
    const { child, until, said } = run('test', 'one', '--two');
    await until('one --two');
    // The terminal and npm both send what was pressed once.
    child.kill('SIGINT');
    child.kill('SIGINT');
    await until('interrupted');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'close'), [7, null]);
    assert.equal(said(), 'one --two\ninterrupted\n');
  });
});

test('packages that are not those of the lock file are installed first, with the reason', async () => {
  await withCheckout('1.0.0', async (run) => {
    const { child, until, said } = run('test');
    await until('\n\n');
    child.kill('SIGTERM');
    await once(child, 'close');
    assert.match(said(), /^installing packages: node_modules\/a is 1\.0\.0 instead of 1\.0\.1\nnpm ci ran\n/);
  });
});

test('a task learns that the one who started it was killed', async () => {
  await withCheckout('1.0.1', async (run) => {
    const { child, until } = run('test', 'go');
    await until('go');
    child.kill('SIGKILL');
    // Its output closes when the task, which holds it as well, has ended.
    await once(child, 'close');
  });
});

test('a task that does not exist is answered with those that do', async () => {
  await withCheckout('1.0.1', async (run) => {
    const { child, said } = run('tests');
    assert.deepEqual(await once(child, 'close'), [1, null]);
    assert.match(said(), /task tests does not exist\n {2}next: npm run setup, npm run demo/);
  });
});
