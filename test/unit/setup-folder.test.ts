import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureFolder } from '../../workers/dev/setup/folder.ts';
import { withTempDir } from '../support/temp-dir.ts';

const signal = new AbortController().signal;
const context = { log: () => {}, signal };
const LOCK = new URL('../../workers/dev/setup/lock.ts', import.meta.url).href;

test('a tool is made once however many ask at the same time', async () => {
  await withTempDir(async (dir) => {
    let fills = 0;
    const fill = async (staging: string): Promise<void> => {
      fills++;
      await writeFile(join(staging, 'program'), 'whole');
    };
    await Promise.all([1, 2, 3].map(() => ensureFolder(join(dir, 'tool'), context, fill)));
    await ensureFolder(join(dir, 'tool'), context, fill);
    assert.equal(fills, 1);
    assert.deepEqual(await readdir(join(dir, 'tool')), ['program']);
  });
});

test('what fails half way leaves nothing that looks finished, and is made anew', async () => {
  await withTempDir(async (dir) => {
    const tool = join(dir, 'tool');
    const half = async (staging: string): Promise<void> => {
      await writeFile(join(staging, 'half'), '');
      throw new Error('no network');
    };
    await assert.rejects(ensureFolder(tool, context, half), /no network/);
    assert.deepEqual(await readdir(dir), ['tool.lock']);
    await ensureFolder(tool, context, (staging) => writeFile(join(staging, 'program'), ''));
    assert.deepEqual(await readdir(tool), ['program']);
  });
});

test('a lock is held against other processes, can be given up waiting for, and dies with its holder', async () => {
  await withTempDir(async (dir) => {
    const script = `const { withLock } = await import('${LOCK}');
      await withLock('${join(dir, 'tool.lock')}', { onWait() {} }, async () => {
        process.stdout.write('held'); await new Promise((done) => setTimeout(done, 600_000)); });`;
    const holder = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const controller = new AbortController();
    const giveUp = { signal: controller.signal, log: () => controller.abort() };
    const fill = (staging: string): Promise<void> => writeFile(join(staging, 'program'), '');
    await assert.rejects(ensureFolder(join(dir, 'tool'), giveUp, fill), { name: 'AbortError' });
    const wait = ensureFolder(join(dir, 'tool'), { signal, log: () => holder.kill('SIGKILL') }, fill);
    await wait;
    assert.deepEqual(await readdir(join(dir, 'tool')), ['program']);
  });
});
