import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { restoreCommandScript } from '../../activities/sources/postgres/recovery/restore-command.ts';
import { withTempDir } from '../support/temp-dir.ts';

const NAME = '000000010000000000000003';

interface Asking {
  spool: string;
  data: string;
  /** Runs the program as the server does: in its data directory. */
  ask(): ChildProcess;
}

async function withSpool(callback: (at: Asking) => Promise<void>, isStandby = false): Promise<void> {
  await withTempDir(async (dir) => {
    const [spool, data] = [join(dir, "it's a spool"), join(dir, 'data')];
    for (const folder of ['want', 'ready', 'absent']) await mkdir(join(spool, folder), { recursive: true });
    await mkdir(data);
    const program = join(dir, 'restore-command.sh');
    await writeFile(program, restoreCommandScript(spool, { isStandby }), { mode: 0o700 });
    await callback({ spool, data, ask: () => spawn(program, [NAME, 'RECOVERYXLOG'], { cwd: data, timeout: 30_000 }) });
  });
}

async function codeOf(asking: ChildProcess): Promise<number | null> {
  const [code] = (await once(asking, 'exit')) as [number | null];
  return code;
}

async function wanted(spool: string): Promise<void> {
  while (!existsSync(join(spool, 'want', NAME))) await new Promise((wait) => setTimeout(wait, 5));
}

test('a segment that is ready is taken at once, and nothing is asked', () =>
  withSpool(async ({ spool, data, ask }) => {
    await writeFile(join(spool, 'ready', NAME), 'wal');
    assert.equal(await codeOf(ask()), 0);
    assert.equal(await readFile(join(data, 'RECOVERYXLOG'), 'utf8'), 'wal');
    assert.ok(!existsSync(join(spool, 'want', NAME)));
  }));

test('it asks, waits, and tells what comes from what is not there', () =>
  withSpool(async ({ spool, data, ask }) => {
    const coming = ask();
    await wanted(spool);
    await writeFile(join(spool, 'ready', NAME), 'wal');
    assert.equal(await codeOf(coming), 0);
    assert.equal(await readFile(join(data, 'RECOVERYXLOG'), 'utf8'), 'wal');
    const missing = ask();
    await wanted(spool);
    await writeFile(join(spool, 'absent', NAME), '');
    assert.equal(await codeOf(missing), 1);
    assert.ok(!existsSync(join(spool, 'want', NAME)));
  }));

test('it does not outlive a server that was killed', () =>
  withSpool(async ({ spool, data, ask }) => {
    const server = spawn('sleep', ['1000'], { cwd: data });
    await once(server, 'spawn');
    await writeFile(join(data, 'postmaster.pid'), `${server.pid}\n${data}\n`);
    const asking = ask();
    await wanted(spool);
    server.kill('SIGKILL');
    assert.equal(await codeOf(asking), 254);
  }));

test('it does not begin to wait for a server that was killed a moment before', () =>
  withSpool(async ({ data, ask }) => {
    const server = spawn('true', { cwd: data });
    await once(server, 'exit');
    await writeFile(join(data, 'postmaster.pid'), `${server.pid}\n${data}\n`);
    assert.equal(await codeOf(ask()), 254);
  }));

test('a spool that is gone is no answer', () =>
  withSpool(async ({ spool, ask }) => {
    await rm(join(spool, 'want'), { recursive: true });
    assert.equal(await codeOf(ask()), 254);
  }));

test('a standby is told to ask again: it would stop for good', () =>
  withSpool(async ({ spool, ask }) => {
    const asking = ask();
    await wanted(spool);
    await rm(spool, { recursive: true });
    assert.equal(await codeOf(asking), 1);
    assert.equal(await codeOf(ask()), 1);
  }, true));
