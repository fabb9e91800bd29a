import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { pagesOf } from '../../activities/contents.ts';
import type { ListedFile } from '../../workflows/model/contents.ts';

const FILES = 1_000_000;
const MESSAGE_BYTES = 2_000_000;
const MOST_BYTES = 64 << 20;

function fileOf(number: number): ListedFile {
  return {
    path: `base/16384/${16_384 + number}`,
    type: 'file',
    bytes: 8192 * (number % 7),
    mtime: '2026-01-05T03:00:00.000Z',
  };
}

function* files(count: number): Iterable<ListedFile> {
  for (let number = 0; number < count; number++) yield fileOf(number);
}

test('a million files: pages that a message holds, all of them, in order, and little memory for what is kept', async () => {
  const pages = await pagesOf(files(FILES));
  let number = 0;
  for (const page of pages) {
    const text = inflateRawSync(page);
    assert.ok(text.length < MESSAGE_BYTES);
    for (const file of JSON.parse(text.toString()) as ListedFile[]) {
      if (file.path !== fileOf(number).path) assert.fail(`${file.path} is the ${number}th`);
      number += 1;
    }
  }
  assert.equal(number, FILES);
  assert.ok(pages.reduce((sum, page) => sum + page.length, 0) < MOST_BYTES);
});

test('no files are one page without any', async () => {
  const pages = await pagesOf([]);
  assert.deepEqual(
    pages.map((page) => inflateRawSync(page).toString()),
    ['[]'],
  );
});
