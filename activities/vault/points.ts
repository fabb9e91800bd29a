import type { Manifest, PartRef, PointSummary } from '../../workflows/model/manifest.ts';
import { summarise } from '../../workflows/model/manifest.ts';
import { findFailure, isRetryable } from '../../workflows/model/failure.ts';
import type { BackupFacts, PointReader } from '../sources/source.ts';
import { encodeWith, readArtefact } from './context.ts';
import type { VaultContext } from './context.ts';
import { readManifest, writeDraft } from './manifest/store.ts';
import { MANIFEST_FORMAT } from './manifest/schema.ts';
import type { PointDraft } from './vault.ts';

const partArtefact = (point: string, number: number): Record<string, string> => ({
  artefact: 'part',
  point,
  part: String(number),
});

export async function beginPoint(vault: VaultContext, point: string): Promise<PointDraft> {
  const { options, store, layout } = vault;
  // Fails now, before the source is asked for a byte, when no key can be had.
  await vault.keks.current();
  return {
    partBytes: options.partBytes,
    parallel: options.parallel,
    write: async (number, plaintext): Promise<PartRef> => {
      const plainBytes = plaintext.length;
      const { bytes, sha256 } = await encodeWith(vault, {
        bytes: plaintext,
        artefact: partArtefact(point, number),
        transfer: true,
      });
      await store.put(layout.part(point, number), bytes);
      return { number, bytes: plainBytes, storedBytes: bytes.length, sha256 };
    },
    finish: async (facts: BackupFacts): Promise<Manifest> => {
      const manifest: Manifest = {
        format: MANIFEST_FORMAT,
        point,
        source: options.source,
        kind: 'full',
        tool: options.tool,
        ...facts,
      };
      await writeDraft(vault, manifest);
      return manifest;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

export async function openPoint(vault: VaultContext, point: string): Promise<PointReader> {
  const manifest = await readManifest(vault, point);
  return { manifest, readPart: (part) => readPart(vault, point, part) };
}

function readPart(vault: VaultContext, point: string, part: PartRef): Promise<Buffer> {
  return readArtefact(vault, vault.layout.part(point, part.number), {
    artefact: partArtefact(point, part.number),
    expected: { bytes: part.storedBytes, sha256: part.sha256 },
    plainBytes: part.bytes,
  });
}

export async function verifyPoint(
  vault: VaultContext,
  point: string,
  onBytes: (bytes: number) => void,
): Promise<{ parts: number; bytes: number; storedBytes: number }> {
  const { manifest, readPart: read } = await openPoint(vault, point);
  const queue = [...manifest.parts];
  const work = async (): Promise<void> => {
    for (let part = queue.shift(); part; part = queue.shift()) {
      vault.run.signal.throwIfAborted();
      onBytes((await read(part)).length);
    }
  };
  await Promise.all(Array.from({ length: vault.options.parallel }, work));
  const { parts, bytes, storedBytes } = summarise(manifest);
  return { parts, bytes, storedBytes };
}

export async function listPoints(
  vault: VaultContext,
): Promise<{ points: PointSummary[]; damaged: { point: string; reason: string }[] }> {
  const points: PointSummary[] = [];
  const damaged: { point: string; reason: string }[] = [];
  for await (const { point, published } of pointFolders(vault)) {
    if (!published) continue;
    try {
      points.push(summarise(await readManifest(vault, point)));
    } catch (error) {
      // One damaged manifest must not hide the others; a store that is away must not look like damage.
      if (isRetryable(error) || !findFailure(error)) throw error;
      damaged.push({ point, reason: findFailure(error)?.message ?? String(error) });
    }
  }
  return { points: points.sort((a, b) => (a.stoppedAt < b.stoppedAt ? -1 : 1)), damaged };
}

export async function discardDrafts(
  vault: VaultContext,
  prefix: string,
  keep: string | undefined,
): Promise<{ removed: number }> {
  let removed = 0;
  for await (const { point, published } of pointFolders(vault, prefix)) {
    if (published || point === keep) continue;
    // The draft goes first: from then on nobody can publish what is being removed.
    await vault.store.remove(vault.layout.draft(point));
    for await (const item of vault.store.list(`${vault.layout.points}${point}/p`)) await vault.store.remove(item.key);
    removed += 1;
  }
  return { removed };
}

/** Every point folder, without listing its parts: "draft" and "manifest" sort before "p000001", then we skip ahead. */
async function* pointFolders(vault: VaultContext, prefix = ''): AsyncIterable<{ point: string; published: boolean }> {
  const { points } = vault.layout;
  let after: string | undefined;
  for (;;) {
    const seen = await firstKeys(vault, points + prefix, after);
    const point = seen[0]?.slice(points.length).split('/')[0];
    if (point === undefined) return;
    yield { point, published: seen.includes(vault.layout.manifest(point)) };
    after = `${points}${point}/q`;
  }
}

/** Keys of the first folder behind `after`, up to its first part. */
async function firstKeys(vault: VaultContext, prefix: string, after: string | undefined): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of vault.store.list(prefix, after === undefined ? {} : { startAfter: after })) {
    const folder = key.slice(0, key.lastIndexOf('/'));
    if (keys[0] !== undefined && !keys[0].startsWith(`${folder}/`)) break;
    keys.push(key);
    if (/\/p\d+$/.test(key)) break;
  }
  return keys;
}
