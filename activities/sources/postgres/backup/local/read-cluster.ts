import { randomBytes } from 'node:crypto';
import type { FileEntry, FileTree } from '../../../../../workflows/model/manifest.ts';
import { crc32cCombine } from '../../../../io/crc32c.ts';
import type { PointReader } from '../../../source.ts';
import { Packer, PartNumbers } from '../packer.ts';
import type { SumForm } from './block-sums.ts';
import { Changes } from './changes.ts';
import { incrementHeader, incrementPath } from './increment-header.ts';
import type { ListedTree, LocalFile } from './list-files.ts';
import { ParentSums } from './parent-sums.ts';
import type { FilesRead, ReadUse } from './read-parts.ts';
import { readFiles } from './read-parts.ts';

/** Files whose sums are held at once: 16 bytes for each page of them. */
const BATCH_BYTES = 32 * 2 ** 30;

/** Sums are wanted: for later backups, and to take what is not as it was in `parent`. */
export interface SumsWish {
  parent?: PointReader;
}

export interface ClusterRead extends FilesRead {
  blockSums?: { key: string };
}

/**
 * Reads every listed file, or of those that the parent has the pages that differ, and keeps a sum of each page of the cluster
 * as it is in the backup then: read from this one, or the same as in the parent.
 */
export async function readCluster(use: Omit<ReadUse, 'numbers' | 'form'>, wish?: SumsWish): Promise<ClusterRead> {
  const numbers = new PartNumbers();
  if (!wish) return readFiles({ ...use, numbers });
  const { pageBytes } = use.limits;
  const { parent } = wish;
  const key = parent ? keyOf(parent) : randomBytes(32);
  const form: SumForm = { key, pageBytes };
  const packer = new Packer(use.out, { numbers, trees: [] });
  const changes = parent && new Changes(new ParentSums(parent), form);
  const all: FilesRead = { parts: [], trees: [], damaged: [], origins: new Map() };
  try {
    for (const batch of batchesOf(use.trees)) {
      const trees = changes ? await changes.find(batch, use.run) : batch;
      const read = await readFiles({ ...use, trees, numbers, form });
      for (const [entry, file] of read.origins) {
        if (file.changed) makeIncrement(packer, { entry, file, pageBytes });
        if (file.sums) entry.sums = packer.loose(file.sums);
        delete file.sums;
        await packer.room();
      }
      merge(all, read);
    }
    all.parts.push(...(await packer.finish()));
    all.parts.sort((a, b) => a.number - b.number);
    return { ...all, blockSums: { key: key.toString('hex') } };
  } finally {
    await packer.settle();
    await changes?.close();
  }
}

function keyOf({ manifest }: PointReader): Buffer {
  return Buffer.from(manifest.blockSums?.key ?? '', 'hex');
}

/** Every batch has every tree; the files come in one order in every backup, so that their sums do. */
function* batchesOf(trees: ListedTree[]): Generator<ListedTree[]> {
  const empty = (): ListedTree[] => trees.map((tree) => ({ ...tree, files: [] }));
  let [batch, bytes] = [empty(), 0];
  for (const [index, { files }] of trees.entries()) {
    for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
      if (bytes > 0 && bytes + file.bytes > BATCH_BYTES) {
        yield batch;
        [batch, bytes] = [empty(), 0];
      }
      batch[index]?.files.push(file);
      bytes += file.bytes;
    }
  }
  yield batch;
}

/** What was read of the file are the blocks; their head comes before them, wherever it stands. */
function makeIncrement(packer: Packer, use: { entry: FileEntry; file: LocalFile; pageBytes: number }): void {
  const { entry, file, pageBytes } = use;
  const header = incrementHeader(file.changed ?? [], file.bytes / pageBytes, pageBytes);
  entry.slices = [...packer.loose(header), ...(entry.slices ?? [])];
  entry.path = incrementPath(entry.path);
  entry.bytes = 0;
  entry.crc32c = 0;
  for (const { bytes, crc32c } of entry.slices) {
    entry.crc32c = crc32cCombine(entry.crc32c, crc32c, bytes);
    entry.bytes += bytes;
  }
  delete file.changed;
}

function merge(all: FilesRead, read: FilesRead): void {
  all.parts.push(...read.parts);
  for (const tree of read.trees) {
    const known: FileTree | undefined = all.trees.find(({ id }) => id === tree.id);
    if (known) for (const file of tree.files) known.files.push(file);
    else all.trees.push(tree);
  }
  all.damaged.push(...read.damaged);
  if (read.newest && read.newest.lsn > (all.newest?.lsn ?? 0n)) all.newest = read.newest;
}
