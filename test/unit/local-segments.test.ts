import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainRun } from '../../activities/io/run.ts';
import { answer as listFiles } from '../../activities/sources/postgres/backup/local/list-files.ts';
import type { ClusterRead, SumsWish } from '../../activities/sources/postgres/backup/local/read-cluster.ts';
import { readCluster } from '../../activities/sources/postgres/backup/local/read-cluster.ts';
import { applyIncrement } from '../../activities/sources/postgres/recovery/increment-file.ts';
import type { PointReader } from '../../activities/sources/source.ts';
import type { FileEntry, Manifest } from '../../workflows/model/manifest.ts';
import type { MemorySink } from '../support/folder-sink.ts';
import { memorySink } from '../support/folder-sink.ts';
import { withTempDir } from '../support/temp-dir.ts';

const PAGE = 8192;
/** As if a segment had four pages, and not as many as a gigabyte has. */
const PAGES = 4;
const NAMES = ['base/5/16384', 'base/5/16384.1'] as const;

function page(fill: number): Buffer {
  return Buffer.alloc(PAGE, fill);
}

interface Read {
  read: ClusterRead;
  sink: MemorySink;
}

async function readAll(root: string, use: { wish?: SumsWish; since?: bigint }): Promise<Read> {
  const sink = memorySink(2 * PAGE);
  const read = await readCluster(
    {
      ...{ out: sink, run: plainRun(), trees: listFiles({ trees: [{ id: 'base', root }] }) },
      limits: { partBytes: sink.partBytes, pageBytes: PAGE, pagesPerSegment: PAGES },
      ...(use.since === undefined ? {} : { since: use.since }),
    },
    use.wish,
  );
  return { read, sink };
}

function parentOf({ read, sink }: Read): PointReader {
  const { parts, trees, blockSums } = read;
  return {
    manifest: { point: 'p1', kind: 'full', parts, trees, blockSums } as Manifest,
    // Memory of its own: it is given back when it was read.
    readPart: async ({ number }) => {
      const part = sink.parts.get(number) ?? Buffer.alloc(0);
      const copy = Buffer.alloc(part.length);
      part.copy(copy);
      return copy;
    },
    usePart: () => Promise.reject(new Error('not asked for')),
    other: () => Promise.reject(new Error('not asked for')),
  };
}

function contentOf({ slices = [] }: FileEntry, { parts }: MemorySink): Buffer {
  return Buffer.concat(
    slices.map(({ part, at, bytes }) => parts.get(part)?.subarray(at, at + bytes) ?? Buffer.alloc(0)),
  );
}

test('a relation of two segments: what changed goes by its place in the file, what is damaged by that in the relation', async () => {
  await withTempDir(async (dir) => {
    const [source, copy] = [join(dir, 'source'), join(dir, 'copy')];
    for (const root of [source, copy]) await mkdir(join(root, 'base/5'), { recursive: true });
    const write = async (root: string, segments: Buffer[][]): Promise<void> => {
      for (const [index, name] of NAMES.entries())
        await writeFile(join(root, name), Buffer.concat(segments[index] ?? []));
    };
    const before = [
      [page(1), page(2), page(3), page(4)],
      [page(5), page(6)],
    ];
    await write(source, before);
    await write(copy, before);
    const full = await readAll(source, { wish: {} });
    await write(source, [
      [page(1), page(12), page(3), page(4)],
      [page(15), page(6), page(17)],
    ]);
    const { read, sink } = await readAll(source, { wish: { parent: parentOf(full) } });
    const files = read.trees.flatMap((tree) => tree.files).filter(({ type }) => type === 'file');
    assert.deepEqual(files.map(({ path }) => path).sort(), ['base/5/INCREMENTAL.16384', 'base/5/INCREMENTAL.16384.1']);
    for (const file of files) {
      const content = contentOf(file, sink);
      const name = file.path.replace('INCREMENTAL.', '');
      const increment = { path: name, bytes: content.length, read: (at: number, count: number) => content.subarray(at, at + count) }; // prettier-ignore
      applyIncrement(increment, join(copy, name), { blockBytes: PAGE, segmentBlocks: PAGES });
      assert.ok((await readFile(join(copy, name))).equals(await readFile(join(source, name))), name);
    }

    // Empty pages are right; one of the second segment is not.
    await write(source, [
      [page(0), page(0), page(0), page(0)],
      [page(0), page(7)],
    ]);
    const { damaged } = (await readAll(source, { since: 1n << 62n })).read;
    assert.deepEqual(damaged, [{ tree: 'base', path: NAMES[1], block: PAGES + 1 }]);
  });
});
