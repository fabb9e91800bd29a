import { availableParallelism } from 'node:os';
import type { Manifest } from '../../../../workflows/model/manifest.ts';
import type { Run } from '../../../io/run.ts';
import { threadModule } from '../../../io/thread.ts';
import { runAll, Threads } from '../../../io/threads.ts';
import type { RunAs } from '../../../io/run-command.ts';
import type { CompareJob } from './part-job.ts';
import type { PlaceOf } from './parts.ts';
import { bytesOf, placementsByPart } from './parts.ts';

export interface InPlaceUse {
  placeOf: PlaceOf;
  isDone(part: number): boolean;
  /** Who is to own the files; absent: whoever does. */
  owner?: RunAs;
  run: Run;
  /** All bytes of the part stand where they belong. */
  found(part: number): Promise<void>;
}

/** So many parts with a difference, one after the other, and fewer and fewer are compared until one has none. */
const PATIENCE_PARTS = 8;
const MOST_PASSED_OVER = 32;

/** One of so many is compared. */
function strideAfter(differing: number): number {
  return Math.min(MOST_PASSED_OVER, 2 ** Math.max(0, differing - PATIENCE_PARTS));
}

/**
 * Compares what stands in the directory with the sums of the manifest, and cuts files that are longer. A sum has 32 bits: one
 * difference in four thousand million goes unseen, which page checksums and the proof of the copy are there for. Gives the bytes
 * that need not be fetched. Where every part has a difference, most are not compared here, but when they are written.
 */
export async function partsInPlace(manifest: Manifest, use: InPlaceUse): Promise<number> {
  const { owner, run } = use;
  const placements = placementsByPart(manifest, use.placeOf);
  const parts = manifest.parts.filter(({ number }) => placements.has(number) && !use.isDone(number));
  const threads = new Threads<CompareJob, boolean>(
    availableParallelism(),
    threadModule('compare-thread', import.meta.url),
  );
  const totalBytes = bytesOf(parts);
  let doneBytes = 0;
  let reusedBytes = 0;
  let differing = 0;
  const queue = parts.entries();
  const compare = async (_: undefined, signal: AbortSignal): Promise<void> => {
    for (const [index, { number, bytes }] of queue) {
      signal.throwIfAborted();
      doneBytes += bytes;
      if (index % strideAfter(differing) !== 0) continue;
      const job: CompareJob = { placements: placements.get(number) ?? [], ...(owner ? { owner } : {}) };
      const isThere = await threads.run({ job, moved: [], signal, isEffect: true });
      run.progress({ phase: 'compare', doneBytes, totalBytes });
      differing = isThere ? 0 : differing + 1;
      if (!isThere) continue;
      reusedBytes += bytes;
      await use.found(number);
    }
  };
  try {
    await runAll(Array.from<undefined>({ length: availableParallelism() }), run.signal, compare);
    return reusedBytes;
  } finally {
    await threads.close();
  }
}
