import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeLarge } from '../../activities/io/direct-write.ts';
import { withTempDir } from '../support/temp-dir.ts';

const NOBODY = 65_534;
const LENGTH = 3 * (1 << 20) + 777;

/** Writes the pieces between these places, the last one first. */
async function written(dir: string, bytes: Buffer, cuts: number[]): Promise<Buffer> {
  const path = join(dir, `cut-at-${cuts.join('-')}`);
  await writeFile(path, '');
  const ends = [0, ...cuts, bytes.length];
  for (let index = ends.length - 2; index >= 0; index--) {
    const [from, to] = [ends[index] as number, ends[index + 1] as number];
    const file = openSync(path, 'r+');
    writeLarge({ file, path }, bytes.subarray(from, to), from);
    closeSync(file);
  }
  return readFile(path);
}

test('a file has every byte, wherever its pieces are cut', async () => {
  await withTempDir(async (dir) => {
    const bytes = randomBytes(LENGTH);
    const cuts = [[], [1], [4096], [4095, 4097], [8192, 1 << 20, (1 << 20) + 5], [100, 200, 300], [LENGTH - 1]];
    for (const at of cuts) assert.ok((await written(dir, bytes, at)).equals(bytes), `cut at ${at.join(', ')}`);
  });
});

test('what stood there is written over, in a file that was read before', async () => {
  await withTempDir(async (dir) => {
    const path = join(dir, 'file');
    const before = randomBytes(LENGTH);
    await writeFile(path, before);
    const bytes = randomBytes(LENGTH - 10_000);
    const file = openSync(path, 'r+');
    writeLarge({ file, path }, bytes, 5_000);
    closeSync(file);
    bytes.copy(before, 5_000);
    assert.ok((await readFile(path)).equals(before));
  });
});

test('a file that only its maker may open, and not once more, is written through the one that is open', async () => {
  await withTempDir(async (dir) => {
    const path = join(dir, 'file');
    await writeFile(path, '');
    const bytes = randomBytes(LENGTH);
    const file = openSync(path, 'r+');
    await chmod(path, 0o400);
    // Who is root may open everything.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(NOBODY);
    try {
      assert.throws(() => openSync(path, 'r+'), { code: 'EACCES' });
      writeLarge({ file, path }, bytes, 0);
    } finally {
      if (isRoot) process.seteuid?.(0);
      closeSync(file);
    }
    assert.ok((await readFile(path)).equals(bytes));
    assert.throws(() => writeLarge({ file: -1, path: join(dir, 'gone') }, bytes, 0), { code: 'ENOENT' });
  });
});
