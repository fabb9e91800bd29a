import assert from 'node:assert/strict';
import fs from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PageMemory } from '../../activities/sources/postgres/backup/local/page-checksum.ts';
import { fill } from '../../activities/sources/postgres/backup/local/read-part.ts';
import { assemble } from '../../workers/dev/assemble.ts';

const CODE = new URL('../../activities/sources/postgres/backup/local/page-checksum-code.ts', import.meta.url);
const PAGE_BYTES = 8192;

test('the code is what its source assembles to', async () => {
  assert.equal(await readFile(CODE, 'utf8'), await assemble());
});

/** The algorithm once more, word by word, as the manual's source describes it. */
function slowSum(page: Buffer, block: number, bases: number[]): number {
  const zeroed = Buffer.from(page);
  zeroed.writeUInt16LE(0, 8);
  const sums = [...bases];
  const mix = (sum: number, value: number): number => {
    const word = (sum ^ value) >>> 0;
    return (Math.imul(word, 16777619) ^ (word >>> 17)) >>> 0;
  };
  for (let at = 0; at < zeroed.length; at += 4) {
    const column = (at / 4) % 32;
    sums[column] = mix(sums[column] ?? 0, zeroed.readUInt32LE(at));
  }
  const folded = sums.map((sum) => mix(mix(sum, 0), 0)).reduce((all, sum) => (all ^ sum) >>> 0, 0);
  return (((folded ^ block) >>> 0) % 65535) + 1;
}

async function basesOf(): Promise<number[]> {
  const source = await readFile(new URL('./page-checksum.wat', CODE), 'utf8');
  return [...source.matchAll(/v128\.const i32x4((?: 0x[0-9A-F]{8}){4})/g)].flatMap(([, words = '']) =>
    words.trim().split(' ').map(Number),
  );
}

test('wrong pages are found, new ones and those of the backup itself are passed over', async () => {
  const bases = await basesOf();
  assert.equal(bases.length, 32);
  const memory = new PageMemory();
  const pages = 40;
  const bytes = Buffer.from(memory.ofAtLeast(pages * PAGE_BYTES, PAGE_BYTES).buffer, 65536, pages * PAGE_BYTES);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 7919 + (at >> 9)) % 251;
  const pageOf = (index: number): Buffer => bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
  for (let index = 0; index < pages; index++) {
    const page = pageOf(index);
    page.writeUInt32LE(0, 0);
    page.writeUInt32LE(index, 4);
    page.writeUInt16LE(slowSum(page, 1000 + index, bases), 8);
  }
  const wrong = (since: bigint): number[] =>
    memory.wrongPages({ at: 0, pages, block: 1000, pageBytes: PAGE_BYTES }, since);
  const never = 0xffffffff_ffffffffn;
  assert.deepEqual(wrong(never), []);
  pageOf(3)[8000] = 0xff;
  pageOf(5).writeUInt16LE(1, 8);
  pageOf(30)[100] = 0xff;
  assert.deepEqual(wrong(never), [1003, 1005, 1030]);
  assert.equal(memory.takeNewest(), 0n);
  assert.deepEqual(wrong(30n), [1003, 1005], 'pages from LSN 30 on are replayed');
  assert.equal(memory.takeNewest(), 39n);
  pageOf(3).writeUInt16LE(0, 14);
  assert.deepEqual(wrong(never), [1005, 1030], 'a new page has no checksum');
});

test('a job that fails leaves nothing of its pages to the next one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'lifeboat-pages-'));
  const { readSync } = fs;
  try {
    const path = join(dir, '1');
    // The first page is not zeros and has a wrong checksum, the second an LSN from far ahead.
    const pages = Buffer.alloc(2 * PAGE_BYTES);
    pages.fill(1, 14, PAGE_BYTES);
    pages.fill(1, PAGE_BYTES);
    await writeFile(path, pages);
    const job = (bytes: number) => ({
      pieces: [{ path, position: 0, bytes, block: 0 }],
      pageBytes: PAGE_BYTES,
      since: '9',
    });
    assert.equal(fill(job(2 * PAGE_BYTES)).said.newest?.lsn, String(0x01010101_01010101n));
    let calls = 0;
    fs.readSync = ((...args: Parameters<typeof readSync>) => {
      if (++calls > 1) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return readSync(...args);
    }) as typeof readSync;
    syncBuiltinESMExports();
    assert.throws(() => fill(job(2 * PAGE_BYTES)), /EIO/);
    fs.readSync = readSync;
    syncBuiltinESMExports();
    assert.equal(fill(job(PAGE_BYTES)).said.newest, undefined);
  } finally {
    fs.readSync = readSync;
    syncBuiltinESMExports();
    await rm(dir, { recursive: true });
  }
});
