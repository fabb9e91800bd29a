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

/**
 * Compares what stands in the directory with the sums of the manifest, and cuts files that are longer. A sum has 32 bits: one
 * difference in four thousand million goes unseen, which page checksums and the proof of the copy are there for. Gives the bytes
 * that need not be fetched.
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
  try {
    await runAll(parts, run.signal, async ({ number, bytes }, signal) => {
      const job: CompareJob = { placements: placements.get(number) ?? [], ...(owner ? { owner } : {}) };
      const isThere = await threads.run({ job, moved: [], signal, isEffect: true });
      doneBytes += bytes;
      run.progress({ phase: 'compare', doneBytes, totalBytes });
      if (!isThere) return;
      reusedBytes += bytes;
      await use.found(number);
    });
    return reusedBytes;
  } finally {
    await threads.close();
  }
}
