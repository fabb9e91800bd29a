import type { FileEntry, FileTree, Manifest } from '../../../../workflows/model/manifest.ts';
import type { Run } from '../../../io/run.ts';
import type { RunAs } from '../../../io/run-command.ts';
import { threadModule } from '../../../io/thread.ts';
import type { PointReader } from '../../source.ts';
import type { PartJob, Placement } from './part-job.ts';

/** Parts fetched, checked and written at once: bounds memory. */
const PARALLEL = 4;
const WRITE_PART = threadModule('write-part', import.meta.url).href;

export interface PartsUse {
  reader: PointReader;
  /** Parts that are in place already. */
  done: ReadonlySet<number>;
  /** Absolute path a file is written to. */
  pathOf(tree: FileTree, file: FileEntry): string;
  owner?: RunAs;
  run: Run;
  /** All bytes of the part are written; not yet necessarily on the disk. */
  finished(part: number): Promise<void>;
}

/**
 * Fetches parts and writes the pieces of files they hold, several at a time, each piece only when its sum is right. The
 * work on bytes is done by threads; the first failure ends all, and what was begun is over when this returns.
 */
export async function writeParts(use: PartsUse): Promise<void> {
  const { reader, done, owner, run } = use;
  const placements = placementsByPart(reader.manifest, (tree, file) => use.pathOf(tree, file));
  const queue = reader.manifest.parts.filter((part) => !done.has(part.number));
  const totalBytes = reader.manifest.parts.reduce((sum, part) => sum + part.bytes, 0);
  let doneBytes = totalBytes - queue.reduce((sum, part) => sum + part.bytes, 0);
  const work = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift()) {
      run.signal.throwIfAborted();
      const pieces = placements.get(part.number) ?? [];
      const job: PartJob = { number: part.number, placements: pieces, ...(owner ? { owner } : {}) };
      await reader.usePart(part, { module: WRITE_PART, job });
      await use.finished(part.number);
      doneBytes += part.bytes;
      run.progress({ phase: 'fetch', doneBytes, totalBytes, counters: { partsLeft: queue.length } });
    }
  };
  const workers = Array.from({ length: PARALLEL }, () =>
    work().catch((error: unknown) => {
      queue.length = 0;
      throw error;
    }),
  );
  const failed = (await Promise.allSettled(workers)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

function placementsByPart(manifest: Manifest, pathOf: PartsUse['pathOf']): Map<number, Placement[]> {
  const byPart = new Map<number, Placement[]>();
  for (const tree of manifest.trees) {
    for (const file of tree.files) {
      const path = pathOf(tree, file);
      let position = 0;
      for (const { part, ...slice } of file.slices ?? []) {
        const pieces = byPart.get(part) ?? [];
        pieces.push({ ...slice, path, mode: file.mode & 0o700, position });
        byPart.set(part, pieces);
        position += slice.bytes;
      }
    }
  }
  return byPart;
}
