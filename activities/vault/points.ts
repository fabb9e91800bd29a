import { failure, isFailure } from '../../workflows/model/failure.ts';
import type { FileSlice, Manifest, PartRef } from '../../workflows/model/manifest.ts';
import { summarise } from '../../workflows/model/manifest.ts';
import { crc32c } from '../io/crc32c.ts';
import { release } from '../io/memory.ts';
import type { PartUse, PointReader } from '../sources/source.ts';
import { readArtefact } from './context.ts';
import type { Artefact, VaultContext } from './context.ts';
import { readManifest } from './manifest/store.ts';
import { inParallel } from './parallel.ts';

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
  const { manifest, readPart: read } = await openPoint(vault, point);
  const slices = slicesByPart(manifest);
  await inParallel(manifest.parts, vault.options.parallel, async (part) => {
    vault.run.signal.throwIfAborted();
    const plaintext = await read(part);
    for (const { path, slice } of slices.get(part.number) ?? []) checkSlice(plaintext, path, slice);
    onBytes(plaintext.length);
    release(plaintext);
  });
  const { parts, bytes, storedBytes } = summarise(manifest);
  return { parts, bytes, storedBytes };
}

interface PlacedSlice {
  path: string;
  slice: FileSlice;
}

function slicesByPart(manifest: Manifest): Map<number, PlacedSlice[]> {
  const byPart = new Map<number, PlacedSlice[]>();
  for (const { path, slices } of manifest.trees.flatMap((tree) => tree.files)) {
    for (const slice of slices ?? []) {
      const others = byPart.get(slice.part);
      if (others) others.push({ path, slice });
      else byPart.set(slice.part, [{ path, slice }]);
    }
  }
  return byPart;
}

function checkSlice(plaintext: Buffer, path: string, slice: FileSlice): void {
  const found = crc32c(plaintext.subarray(slice.at, slice.at + slice.bytes));
  if (found === slice.crc32c) return;
  throw failure('Integrity', `${path} is not what the manifest says`, {
    place: `part ${slice.part}, bytes ${slice.at} to ${slice.at + slice.bytes}`,
    expected: `CRC-32C ${slice.crc32c.toString(16)}`,
    found: `CRC-32C ${found.toString(16)}`,
    hint: 'this backup was written wrong; take a new one with lifeboat backup',
  });
}
