import { failure, isFailure } from '../../workflows/model/failure.ts';
import type { Manifest, PartRef } from '../../workflows/model/manifest.ts';
import { summarise } from '../../workflows/model/manifest.ts';
import { threadModule } from '../io/thread.ts';
import type { PartUse, PointReader } from '../sources/source.ts';
import { readArtefact } from './context.ts';
import type { Artefact, VaultContext } from './context.ts';
import { readManifest } from './manifest/store.ts';
import { inParallel } from './parallel.ts';
import type { VerifyJob } from './verify-part.ts';

const VERIFY_PART = threadModule('verify-part', import.meta.url).href;

export function partArtefact(point: string, number: number): Artefact {
  return { artefact: 'part', point, part: String(number) };
}

export async function openPoint(vault: VaultContext, point: string): Promise<PointReader> {
  const manifest = await readManifest(vault, point);
  return {
    manifest,
    readPart: (part) => readPart(vault, point, { part }),
    usePart: async (part, use) => void (await readPart(vault, point, { part, use })),
    other: (other) => openPoint(vault, other),
  };
}

interface PartReading {
  part: PartRef;
  use?: PartUse;
}

async function readPart(vault: VaultContext, point: string, { part, use }: PartReading): Promise<Buffer> {
  const place = vault.layout.part(point, part.number);
  try {
    return await readArtefact(vault, place, {
      artefact: partArtefact(point, part.number),
      expected: { bytes: part.storedBytes, sha256: part.sha256 },
      plainBytes: part.bytes,
      ...(use ? { use } : {}),
    });
  } catch (error) {
    if (!isFailure(error, 'NotFound') || (await vault.store.stat(place))) throw error;
    throw failure('Integrity', `part ${part.number} of ${point} is missing`, {
      place,
      expected: `${part.storedBytes} bytes`,
      found: 'nothing',
      hint: 'use another copy; a point that lost a part cannot be restored whole',
    });
  }
}

/** Reads every part, and every slice of every file in it. Stops at the first that is wrong. */
export async function verifyPoint(
  vault: VaultContext,
  point: string,
  onBytes: (bytes: number) => void,
): Promise<{ parts: number; bytes: number; storedBytes: number }> {
  const { manifest, usePart } = await openPoint(vault, point);
  const jobs = jobsByPart(manifest);
  await inParallel(manifest.parts, vault.options.parallel, async (part) => {
    vault.run.signal.throwIfAborted();
    await usePart(part, { module: VERIFY_PART, job: jobs.get(part.number) ?? emptyJob(part.number) });
    jobs.delete(part.number);
    onBytes(part.bytes);
  });
  const { parts, bytes, storedBytes } = summarise(manifest);
  return { parts, bytes, storedBytes };
}

function jobsByPart(manifest: Manifest): Map<number, VerifyJob> {
  const jobs = new Map<number, VerifyJob>();
  for (const { files } of manifest.trees) {
    for (const { path, slices } of files) {
      for (const { part, at, bytes, crc32c } of slices ?? []) {
        const job = jobs.get(part) ?? emptyJob(part);
        jobs.set(part, job);
        job.paths.push(path);
        job.pieces.push(at, bytes, crc32c);
      }
    }
  }
  return jobs;
}

function emptyJob(number: number): VerifyJob {
  return { number, paths: [], pieces: [] };
}
