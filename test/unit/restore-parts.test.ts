import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFile, open, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32c } from '../../activities/io/crc32c.ts';
import { plainRun } from '../../activities/io/run.ts';
import { writeParts } from '../../activities/sources/postgres/recovery/parts.ts';
import type { PointReader } from '../../activities/sources/source.ts';
import { isFailure } from '../../workflows/model/failure.ts';
import type { FileEntry, Manifest } from '../../workflows/model/manifest.ts';
import { withTempDir } from '../support/temp-dir.ts';

const PART_BYTES = 3_000_000;

/** Files cut back to back into parts, as a backup lays them out. */
function laidOut(files: Record<string, Buffer>): { reader: PointReader; parts: Buffer[] } {
  const all = Buffer.concat(Object.values(files));
  const parts = Array.from({ length: Math.ceil(all.length / PART_BYTES) }, (_, index) =>
    all.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
  );
  let at = 0;
  const entries = Object.entries(files).map(([path, content]): FileEntry => {
    const slices: FileEntry['slices'] = [];
    for (let done = 0; done < content.length;) {
      const offset = (at + done) % PART_BYTES;
      const bytes = Math.min(content.length - done, PART_BYTES - offset);
      const part = Math.floor((at + done) / PART_BYTES) + 1;
      slices.push({ part, at: offset, bytes, crc32c: crc32c(content.subarray(done, done + bytes)) });
      done += bytes;
    }
    at += content.length;
    return { path, type: 'file', mode: 0o640, mtime: '', bytes: content.length, slices };
  });
  const refs = parts.map((part, index) => ({ number: index + 1, bytes: part.length, storedBytes: 0, sha256: '' }));
  const manifest = { parts: refs, trees: [{ id: 'base', files: entries }] } as unknown as Manifest;
  const readPart: PointReader['readPart'] = async ({ number }) => Buffer.from(parts[number - 1] as Buffer);
  const usePart: PointReader['usePart'] = async (part, { module, job }) => {
    const { use } = (await import(module)) as { use(bytes: Buffer, job: unknown): void };
    use(await readPart(part), job);
  };
  const other: PointReader['other'] = () => Promise.reject(new Error('there is no other point'));
  return { parts, reader: { manifest, readPart, usePart, other } };
}

const FILES = { small: randomBytes(100), 'deep/er/large': randomBytes(8_000_000), last: randomBytes(5_000) };

async function write(
  dir: string,
  reader: PointReader,
  { done = [], isThere = false }: { done?: number[]; isThere?: boolean } = {},
): Promise<number[]> {
  const finished: number[] = [];
  await writeParts({
    reader,
    isDone: (part) => done.includes(part),
    isThere,
    placeOf: (_tree, file) => ({ path: join(dir, file.path) }),
    run: plainRun(),
    finished: async (part) => void finished.push(part),
  });
  return finished.toSorted();
}

test('files come out of their parts with every byte and only the rights of their owner', async () => {
  await withTempDir(async (dir) => {
    const { reader } = laidOut(FILES);
    assert.deepEqual(await write(dir, reader), [1, 2, 3]);
    for (const [path, content] of Object.entries(FILES)) {
      assert.ok((await readFile(join(dir, path))).equals(content), path);
      assert.equal((await stat(join(dir, path))).mode & 0o777, 0o600);
    }
  });
});

test('parts that are in place already are not read again', async () => {
  await withTempDir(async (dir) => {
    const { reader, parts } = laidOut(FILES);
    await write(dir, reader);
    parts[1] = Buffer.alloc(0);
    assert.deepEqual(await write(dir, reader, { done: [2] }), [1, 3]);
    assert.ok((await readFile(join(dir, 'deep/er/large'))).equals(FILES['deep/er/large']));
  });
});

test('over files that stand there, what differs is written, and what is too long is cut', async () => {
  await withTempDir(async (dir) => {
    const { reader } = laidOut(FILES);
    await write(dir, reader);
    const large = await open(join(dir, 'deep/er/large'), 'r+');
    for (const at of [0, 70_000, 2_999_990, 7_999_999]) await large.write('!', at);
    await large.close();
    await appendFile(join(dir, 'small'), 'and more');
    await truncate(join(dir, 'last'), 10);
    assert.deepEqual(await write(dir, reader, { isThere: true }), [1, 2, 3]);
    for (const [path, content] of Object.entries(FILES)) {
      assert.ok((await readFile(join(dir, path))).equals(content), path);
    }
  });
});

test('a piece whose sum is another is refused, names its file, and is not written', async () => {
  await withTempDir(async (dir) => {
    const { reader, parts } = laidOut(FILES);
    const last = parts[2] as Buffer;
    last.writeUInt8(last.readUInt8(last.length - 1) ^ 1, last.length - 1);
    await assert.rejects(
      write(dir, reader),
      (error) => isFailure(error, 'Integrity') && /\/last came/.test(String(error)),
    );
    await assert.rejects(stat(join(dir, 'last')), { code: 'ENOENT' });
  });
});

test('what cannot be written is said by errno, and nobody reads on', async () => {
  await withTempDir(async (dir) => {
    const { reader } = laidOut({ 'a/b': randomBytes(10), a: randomBytes(PART_BYTES * 8) });
    let reads = 0;
    const counting: PointReader = { ...reader, usePart: (part, use) => (reads++, reader.usePart(part, use)) };
    await assert.rejects(
      write(dir, counting),
      (error) => isFailure(error, 'Precondition') || isFailure(error, 'NotFound') || isFailure(error, 'Unavailable'),
    );
    assert.ok(reads < 9, `${reads} parts read`);
  });
});
