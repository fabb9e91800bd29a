import { availableParallelism } from 'node:os';
import type { FileEntry, FileTree, Manifest } from '../../../../workflows/model/manifest.ts';
import type { Run } from '../../../io/run.ts';
import type { RunAs } from '../../../io/run-command.ts';
import { threadModule } from '../../../io/thread.ts';
import { Threads } from '../../../io/threads.ts';
import type { PointReader } from '../../source.ts';
import type { PartJob, Placement } from './part-job.ts';

/** Parts fetched, checked and written at once: bounds memory. */
const PARALLEL = 4;
/** Threads that write: more of them wait for each other where large files are cut into many parts. */
const MOST_WRITERS = 4;

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
 * work on bytes is done by threads; the first failure ends all.
 */
export async function writeParts(use: PartsUse): Promise<void> {
  const { reader, done, owner, run } = use;
  const placements = placementsByPart(reader.manifest, (tree, file) => use.pathOf(tree, file));
  const queue = reader.manifest.parts.filter((part) => !done.has(part.number));
  const totalBytes = reader.manifest.parts.reduce((sum, part) => sum + part.bytes, 0);
  let doneBytes = totalBytes - queue.reduce((sum, part) => sum + part.bytes, 0);
  await using writers = openWriters();
  const work = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift()) {
      run.signal.throwIfAborted();
      const bytes = await reader.readPart(part);
      const pieces = placements.get(part.number) ?? [];
      await writers.write({ number: part.number, bytes, placements: pieces, ...(owner ? { owner } : {}) }, run.signal);
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

interface Writers extends AsyncDisposable {
  /** The job's bytes move to the thread and are gone. */
  write(job: PartJob, signal: AbortSignal): Promise<void>;
}

/** A piece that is being written when they are closed is finished first. */
function openWriters(): Writers {
  const size = Math.min(availableParallelism(), MOST_WRITERS);
  const threads = new Threads<PartJob, undefined>(size, threadModule('part-thread', import.meta.url));
  return {
    write: async (job, signal) => {
      const { buffer } = job.bytes;
      await threads.run({ job, moved: buffer instanceof ArrayBuffer ? [buffer] : [], signal });
    },
    [Symbol.asyncDispose]: () => threads.close(),
  };
}
