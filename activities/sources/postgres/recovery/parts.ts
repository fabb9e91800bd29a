import type { FileEntry, FileTree, Manifest, PartRef } from '../../../../workflows/model/manifest.ts';
import type { Run } from '../../../io/run.ts';
import type { RunAs } from '../../../io/run-command.ts';
import { threadModule } from '../../../io/thread.ts';
import type { PointReader } from '../../source.ts';
import type { BlockSizes } from './increment-file.ts';
import type { PartJob, Placement } from './part-job.ts';

/** Parts fetched, checked and written at once: bounds memory. */
const PARALLEL = 4;
const WRITE_PART = threadModule('write-part', import.meta.url).href;

/** Where a file of a point goes. */
export interface FilePlace {
  /** Absolute path. */
  path: string;
  /** Only its size is wanted: nothing of it is fetched. */
  hollow?: true;
  /** It is changed blocks of the file at `path`. One that stands in several parts is put together here before it is used. */
  increment?: BlockSizes & { staged: string };
}

/** Undefined for a file that nobody needs: a part that holds nothing else is not fetched. */
export type PlaceOf = (tree: FileTree, file: FileEntry) => FilePlace | undefined;

export interface PartsUse {
  reader: PointReader;
  /** Whether a part is in place already. */
  isDone(part: number): boolean;
  placeOf: PlaceOf;
  owner?: RunAs;
  /** Restored in place: most of a part may stand where it belongs. */
  isThere?: boolean;
  run: Run;
  /** What other points of the same restore bring. */
  beside?: { doneBytes: number; totalBytes: number };
  /** All bytes of the part are written; not yet necessarily on the disk. */
  finished(part: number): Promise<void>;
}

/**
 * Fetches parts and writes the pieces of files they hold, several at a time, each piece only when its sum is right. The
 * work on bytes is done by threads; the first failure ends all, and what was begun is over when this returns. The answer
 * is what was needed of the point, wherever it came from.
 */
export async function writeParts(use: PartsUse): Promise<{ needed: PartRef[]; resumedParts: number }> {
  const { reader, owner, run, beside = { doneBytes: 0, totalBytes: 0 } } = use;
  const placements = placementsByPart(reader.manifest, use.placeOf);
  const needed = reader.manifest.parts.filter(({ number }) => placements.has(number));
  const queue = needed.filter(({ number }) => !use.isDone(number));
  const resumedParts = needed.length - queue.length;
  const totalBytes = Math.max(beside.totalBytes, beside.doneBytes + bytesOf(needed));
  let doneBytes = beside.doneBytes + bytesOf(needed) - bytesOf(queue);
  const work = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift()) {
      run.signal.throwIfAborted();
      const pieces = placements.get(part.number) ?? [];
      const job: PartJob = {
        ...{ number: part.number, placements: pieces },
        ...(owner ? { owner } : {}),
        ...(use.isThere ? { isThere: true } : {}),
      };
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
  return { needed, resumedParts };
}

export function bytesOf(parts: readonly PartRef[]): number {
  return parts.reduce((sum, part) => sum + part.bytes, 0);
}

export function placementsByPart(manifest: Manifest, placeOf: PlaceOf): Map<number, Placement[]> {
  const byPart = new Map<number, Placement[]>();
  for (const tree of manifest.trees) {
    for (const file of tree.files) {
      const place = placeOf(tree, file);
      if (!place || place.hollow) continue;
      const to = destination(place, file);
      let position = 0;
      for (const { part, ...slice } of file.slices ?? []) {
        const pieces = byPart.get(part) ?? [];
        const isLast = position + slice.bytes === file.bytes;
        const end = isLast ? { fileBytes: file.bytes } : {};
        pieces.push({ ...slice, ...to, ...end, mode: file.mode & 0o700, position });
        byPart.set(part, pieces);
        position += slice.bytes;
      }
    }
  }
  return byPart;
}

/** Changed blocks are used where they arrive, unless they arrive in pieces. */
function destination({ path, increment }: FilePlace, file: FileEntry): Pick<Placement, 'path' | 'increment'> {
  if (!increment) return { path };
  const { staged, ...sizes } = increment;
  return isStaged(file) ? { path: staged } : { path, increment: sizes };
}

/** Whether a file of changed blocks stands in several parts. */
export function isStaged({ slices = [] }: FileEntry): boolean {
  return slices.length > 1;
}
