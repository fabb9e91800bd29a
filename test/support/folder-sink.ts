import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Filled, PartFill, PartQuestion, PartSink } from '../../activities/sources/part-sink.ts';
import type { BackupFacts } from '../../activities/sources/source.ts';
import type { PartRef } from '../../workflows/model/manifest.ts';

export interface MemorySink extends PartSink {
  parts: Map<number, Buffer>;
  /** Most parts that were in flight at once. */
  mostInFlight: number;
}

/** Keeps parts in memory, unencoded: for tests of the engine alone. */
export function memorySink(partBytes = 1 << 20, parallel = 4): MemorySink {
  let inFlight = 0;
  const sink: MemorySink = {
    ...{ partBytes, parallel, parts: new Map(), mostInFlight: 0 },
    write: async (number, plaintext): Promise<PartRef> => {
      sink.mostInFlight = Math.max(sink.mostInFlight, ++inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      sink.parts.set(number, Buffer.from(plaintext));
      inFlight -= 1;
      return { number, bytes: plaintext.length, storedBytes: plaintext.length, sha256: '0'.repeat(64) };
    },
    fill: async <Said>(number: number, { module, job }: PartFill) => {
      const filler = (await import(module)) as { fill(job: unknown): Filled<Said> };
      const { bytes, said } = filler.fill(job);
      return { part: await sink.write(number, Buffer.from(bytes)), said };
    },
    ask: async <Said>({ module, job }: PartQuestion) =>
      ((await import(module)) as { answer(job: unknown): Said }).answer(job),
  };
  return sink;
}

/** Writes the trees of a backup as folders: "base" and one per tablespace oid, from the slices alone. */
export async function unpack(facts: BackupFacts, parts: Map<number, Buffer>, dir: string): Promise<void> {
  for (const tree of facts.trees) {
    const root = join(dir, tree.id);
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const file of tree.files) {
      const path = join(root, file.path);
      if (file.type === 'directory') await mkdir(path, { recursive: true, mode: 0o700 });
      if (file.type !== 'file') continue;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const pieces = (file.slices ?? []).map(
        (slice) => parts.get(slice.part)?.subarray(slice.at, slice.at + slice.bytes) ?? Buffer.alloc(0),
      );
      await writeFile(path, Buffer.concat(pieces), { mode: file.mode });
    }
  }
}
