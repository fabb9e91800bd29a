import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { promisify } from 'node:util';
import type { Run } from '../../activities/io/run.ts';
import { plainRun } from '../../activities/io/run.ts';
import { findStore } from '../../activities/stores/index.ts';
import type { StoreSession } from '../../activities/stores/store.ts';
import { failureFacts, failureTypeOf } from '../../workflows/model/failure.ts';
import { serverUser } from '../support/postgres.ts';
import { keysOf, readAll } from '../support/store-contract.ts';
import { withTempDir } from '../support/temp-dir.ts';

const MIB = 1 << 20;
const HOUR_MS = 3_600_000;
const isRoot = process.getuid?.() === 0;
const writer = new URL('../support/store-writer.ts', import.meta.url).pathname;

function open(path: string, run: Partial<Run> = {}): Promise<StoreSession> {
  return findStore('filesystem').open({ path }, plainRun(run));
}

async function made(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  return path;
}

function isType(type: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(failureTypeOf(error), type, String(error));
    assert.ok(failureFacts(error).hint);
    return true;
  };
}

suite('store filesystem', () => {
  test('opening makes the folder, and nothing in it that a listing shows', async () => {
    await withTempDir(async (dir) => {
      const session = await open(await made(join(dir, 'new/store')));
      assert.deepEqual(await keysOf(session), []);
      assert.deepEqual(await readdir(join(dir, 'new/store')), ['.staging']);
    });
  });

  test('a full disk is Precondition; what was there stays and nothing is left', { skip: noMount() }, async () => {
    await withTempDir(async (dir) => {
      await withSmallDisk(dir, async (disk) => {
        const session = await open(disk);
        await session.put('kept', Buffer.alloc(MIB, 1));
        const tooLarge = (): AsyncIterable<Uint8Array> => blocks(20);
        await assert.rejects(session.put('kept', tooLarge), isType('Precondition'));
        await assert.rejects(session.put('new', tooLarge, { ifAbsent: true }), isType('Precondition'));
        assert.deepEqual(await readdir(join(disk, '.staging')), []);
        assert.deepEqual(await readAll(session, 'kept'), Buffer.alloc(MIB, 1));
        assert.deepEqual(await keysOf(session), ['kept']);
        assert.deepEqual(await session.put('new', blocks.bind(null, 2)), { created: true }, 'the room is free again');
      });
    });
  });

  test(
    'on a read-only file system what is there is read, nothing is written, and a folder without a source is no store',
    { skip: noMount() },
    async () => {
      await withTempDir(async (dir) => {
        const store = await made(join(dir, 'store'));
        await (await open(store)).put('shop/wal/b', Buffer.from('x'));
        const readOnly = join(dir, 'read-only');
        await mkdir(readOnly);
        await mkdir(join(dir, 'other/photos'), { recursive: true });
        await mounted(['--bind', join(dir, 'other'), readOnly], readOnly, async () => {
          await promisify(execFile)('mount', ['-o', 'remount,ro,bind', readOnly]);
          await assert.rejects(open(readOnly), isType('Precondition'));
        });
        await withReadOnly(dir, async (empty) => assert.rejects(open(empty), isType('Precondition')));
        for (const hidden of [false, true]) {
          // A copy need not have what only who writes uses.
          if (hidden) await rm(join(store, '.staging'), { recursive: true });
          await mounted(['--bind', store, readOnly], readOnly, async () => {
            await promisify(execFile)('mount', ['-o', 'remount,ro,bind', readOnly]);
            const session = await open(readOnly);
            assert.deepEqual(
              [await keysOf(session), String(await readAll(session, 'shop/wal/b'))],
              [['shop/wal/b'], 'x'],
            );
            assert.equal(await session.stat('shop/wal/c'), undefined);
            for (const call of [() => session.put('new', Buffer.from('x')), () => session.remove('shop/wal/b')])
              await assert.rejects(call, isType('Denied'));
            await promisify(execFile)('umount', [readOnly]);
            for (const call of [
              () => session.stat('shop/wal/c'),
              () => session.get('shop/wal/b'),
              () => keysOf(session),
            ])
              await assert.rejects(call, isType('NotFound'));
            await promisify(execFile)('mount', ['--bind', store, readOnly]);
          });
        }
      });
    },
  );

  test('a folder that this user may not write is Denied', { skip: noOtherUser() }, async () => {
    await withTempDir(async (dir) => {
      await chmod(dir, 0o755);
      const session = await open(await made(join(dir, 'store')));
      await session.put('there', Buffer.from('x'));
      await chmod(join(dir, 'store/there'), 0o600);
      await asOther(async () => {
        await assert.rejects(open(dir), isType('Denied'));
        for (const call of [() => session.put('new', Buffer.from('x')), () => session.get('there')]) {
          await assert.rejects(call, isType('Denied'));
        }
        await assert.rejects(session.remove('there'), isType('Denied'));
      });
      assert.deepEqual(await keysOf(session), ['there']);
    });
  });

  test('a file where the folder should be is Precondition or NotFound, and never tried again', async () => {
    await withTempDir(async (dir) => {
      await writeFile(join(dir, 'file'), 'x');
      await assert.rejects(open(join(dir, 'file')), isType('NotFound'));
      await assert.rejects(open(join(dir, 'file/deeper')), isType('NotFound'));
      const session = await open(await made(join(dir, 'store')));
      await session.put('a', Buffer.from('x'));
      await assert.rejects(session.put('a/b', Buffer.from('x')), isType('Precondition'));
      await session.put('c/d', Buffer.from('x'));
      await assert.rejects(session.put('c', Buffer.from('x')), isType('Precondition'));
    });
  });

  test('a folder that is not there is never made: its file system may not be mounted', async () => {
    await withTempDir(async (dir) => {
      await assert.rejects(open(join(dir, 'mount/store')), isType('NotFound'));
      assert.deepEqual(await readdir(dir), []);
    });
  });

  test('nothing is written behind a mount point whose mount is gone', async () => {
    await withTempDir(async (dir) => {
      const session = await open(dir);
      await rm(join(dir, '.staging'), { recursive: true });
      await assert.rejects(session.put('a/b', Buffer.from('x')), isType('NotFound'));
      assert.deepEqual(await readdir(dir), []);
    });
  });

  test('a symbolic link is not followed', async () => {
    await withTempDir(async (dir) => {
      const session = await open(await made(join(dir, 'store')));
      await writeFile(join(dir, 'secret'), 'x');
      await symlink(join(dir, 'secret'), join(dir, 'store/link'));
      await assert.rejects(session.get('link'), isType('Denied'));
      assert.equal(await session.stat('link'), undefined);
      assert.deepEqual(await keysOf(session), []);
      await session.put('link', Buffer.from('ours'));
      assert.equal((await readFile(join(dir, 'secret'))).toString(), 'x');
    });
  });

  test('what a killed writer left is seen by nobody, and removed after a day, and no earlier', async () => {
    await withTempDir(async (dir) => {
      const options = JSON.stringify({ path: dir });
      const child = spawn(process.execPath, [writer, 'filesystem', options, 'stuck'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'exit');
      const [left, ...others] = await readdir(join(dir, '.staging'));
      assert.ok(left && others.length === 0, 'the writer was killed while it wrote');
      const { clock } = plainRun();
      const later = (hours: number): Partial<Run> => ({
        clock: { ...clock, nowMs: () => clock.nowMs() + hours * HOUR_MS },
      });
      assert.deepEqual(await keysOf(await open(dir, later(23))), []);
      assert.deepEqual(await readdir(join(dir, '.staging')), [left]);
      await open(dir, later(25));
      assert.deepEqual(await readdir(join(dir, '.staging')), []);
    });
  });

  test('a slow writer that still writes is not swept away', async () => {
    await withTempDir(async (dir) => {
      const session = await open(dir);
      const body = async function* (): AsyncIterable<Uint8Array> {
        yield Buffer.from('first, ');
        const [name = ''] = await readdir(join(dir, '.staging'));
        const dayAgo = new Date(Date.now() - 25 * HOUR_MS);
        await utimes(join(dir, '.staging', name), dayAgo, dayAgo);
        yield Buffer.from('second');
        await open(dir);
      };
      await session.put('slow', body);
      assert.equal((await readAll(session, 'slow')).toString(), 'first, second');
    });
  });

  test('bytes are durable before their name is, and the name before the answer', { skip: noStrace() }, async () => {
    for (const [mode, publish] of [
      ['plain', 'rename'],
      ['absent', 'link'],
    ]) {
      await withTempDir(async (dir) => {
        const trace = join(dir, 'trace');
        const calls = 'trace=openat,fsync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,write';
        const command = [
          process.execPath,
          writer,
          'filesystem',
          JSON.stringify({ path: await made(join(dir, 'store')) }),
          mode ?? '',
        ];
        await promisify(execFile)('strace', ['-f', '-y', '-qq', '-s', '64', '-o', trace, '-e', calls, ...command]);
        const lines = whole((await readFile(trace, 'utf8')).split('\n'));
        const order = [
          /fsync\(\d+<[^>]*\/store>\)/, // the staging folder's own name
          /fsync\(\d+<[^>]*\/store\/a>\)/, // the name of the new folder b
          /fsync\(\d+<[^>]*\.part>\)/,
          new RegExp(`${publish}\\w*\\(.*\\.part.*a/b/c`),
          /fsync\(\d+<[^>]*\/store\/a\/b>\)/,
          /write\(1<.*"stored/,
        ];
        let at = -1;
        for (const step of order) {
          const next = lines.findIndex((line, index) => index > at && step.test(line));
          assert.ok(next > at, `${mode}: ${step} does not follow in\n${lines.join('\n')}`);
          at = next;
        }
      });
    }
  });
});

async function* blocks(count: number): AsyncIterable<Uint8Array> {
  for (let number = 0; number < count; number++) yield Buffer.alloc(MIB, number);
}

/** A call that another thread interrupted stands in two lines. */
function whole(lines: string[]): string[] {
  const begun = new Map<string, string>();
  return lines.flatMap((line) => {
    const [pid = ''] = line.split(' ');
    const [start = '', broken] = line.split('<unfinished');
    if (broken !== undefined) begun.set(pid, start);
    const [, rest] = line.split('resumed>');
    if (rest !== undefined) return [`${begun.get(pid)}${rest}`];
    return broken === undefined ? [line] : [];
  });
}

async function mounted(words: string[], place: string, callback: () => Promise<void>): Promise<void> {
  await promisify(execFile)('mount', words);
  try {
    await callback();
  } finally {
    await promisify(execFile)('umount', [place]);
  }
}

function withReadOnly(dir: string, callback: (place: string) => Promise<void>): Promise<void> {
  const place = join(dir, 'read-only');
  return mounted(['-t', 'tmpfs', '-o', 'ro,size=1m', 'tmpfs', place], place, () => callback(place));
}

async function withSmallDisk(dir: string, callback: (disk: string) => Promise<void>): Promise<void> {
  const disk = join(dir, 'disk');
  await mkdir(disk);
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  try {
    await callback(disk);
  } finally {
    await promisify(execFile)('umount', [disk]);
    await rm(disk, { recursive: true });
  }
}

/** File access as an unprivileged user has it. */
async function asOther(callback: () => Promise<void>): Promise<void> {
  process.seteuid?.(serverUser().uid ?? 0);
  try {
    await callback();
  } finally {
    process.seteuid?.(0);
  }
}

function noMount(): string | false {
  return isRoot ? false : 'a small tmpfs can be mounted by root only';
}

function noOtherUser(): string | false {
  return isRoot ? false : 'only root can become another user';
}

function noStrace(): string | false {
  return spawnSync('strace', ['-V']).status === 0 ? false : 'strace is not installed';
}
