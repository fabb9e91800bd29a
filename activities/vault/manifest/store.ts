import { isFailure } from '../../../workflows/model/failure.ts';
import type { Manifest } from '../../../workflows/model/manifest.ts';
import { failure } from '../../../workflows/model/failure.ts';
import { decodeWith, encodeWith, noSuchPoint } from '../context.ts';
import type { VaultContext } from '../context.ts';
import { readObject } from '../objects.ts';
import { seal, unseal } from './envelope.ts';
import { manifestSchema } from './schema.ts';

const artefact = (point: string): Record<string, string> => ({ artefact: 'manifest', point });

export async function writeDraft(vault: VaultContext, manifest: Manifest): Promise<void> {
  const { bytes } = await encodeWith(vault, {
    bytes: Buffer.from(JSON.stringify(manifest)),
    artefact: artefact(manifest.point),
  });
  const sealed = seal(vault.options.keys, { source: manifest.source, point: manifest.point, body: bytes });
  await vault.store.put(vault.layout.draft(manifest.point), sealed);
}

/** The bytes of the draft become the manifest: the last write of a backup, by one winner. */
export async function publishDraft(vault: VaultContext, point: string): Promise<Manifest> {
  const published = await readIfThere(vault, point, 'manifest');
  if (published) return published.manifest;
  const draft = await readIfThere(vault, point, 'draft');
  if (!draft) throw noSuchPoint(vault.options.source, point);
  await checkPartsStored(vault, draft.manifest);
  await vault.store.put(vault.layout.manifest(point), draft.sealed, { ifAbsent: true });
  const now = await readManifest(vault, point);
  await vault.store.remove(vault.layout.draft(point));
  return now;
}

/** Every part is there in its full length, before anybody is told that there is a backup. */
async function checkPartsStored(vault: VaultContext, manifest: Manifest): Promise<void> {
  const stored = new Map<string, number>();
  for await (const item of vault.store.list(`${vault.layout.points}${manifest.point}/p`))
    stored.set(item.key, item.bytes);
  for (const part of manifest.parts) {
    const key = vault.layout.part(manifest.point, part.number);
    if (stored.get(key) === part.storedBytes) continue;
    throw failure('Integrity', `part ${part.number} of ${manifest.point} is not stored whole`, {
      place: key,
      expected: `${part.storedBytes} bytes`,
      found: `${stored.get(key) ?? 'no'} bytes`,
      hint: `lifeboat backup ${manifest.source}`,
    });
  }
}

export async function readManifest(vault: VaultContext, point: string): Promise<Manifest> {
  const found = await readIfThere(vault, point, 'manifest');
  if (!found) throw noSuchPoint(vault.options.source, point);
  return found.manifest;
}

async function readIfThere(
  vault: VaultContext,
  point: string,
  which: 'draft' | 'manifest',
): Promise<{ manifest: Manifest; sealed: Buffer } | undefined> {
  const place = vault.layout[which](point);
  try {
    const sealed = await readObject(vault.store, place);
    return { manifest: await openManifest(vault, { point, place }, sealed), sealed };
  } catch (error) {
    if (isFailure(error, 'NotFound') && !(await vault.store.stat(place))) return undefined;
    throw error;
  }
}

async function openManifest(
  vault: VaultContext,
  at: { point: string; place: string },
  sealed: Buffer,
): Promise<Manifest> {
  const { keys, source } = vault.options;
  const body = Buffer.from(unseal(keys, { source, ...at }, sealed));
  const plain = await decodeWith(vault, body, { place: at.place, artefact: artefact(at.point) });
  const parsed = manifestSchema.safeParse(JSON.parse(plain.toString('utf8')));
  const wrong = parsed.success ? inconsistency(parsed.data, at.point, source) : parsed.error.issues[0]?.message;
  if (wrong === undefined && parsed.success) return parsed.data;
  throw failure('Integrity', `${at.place} does not describe a backup`, { place: at.place, found: wrong ?? 'nothing' });
}

/** What no schema can say: names fit, parts are 1..n, every slice lies in a part. */
function inconsistency(manifest: Manifest, point: string, source: string): string | undefined {
  if (manifest.point !== point || manifest.source !== source) return `manifest of ${manifest.source}/${manifest.point}`;
  const misplaced = manifest.parts.findIndex((part, index) => part.number !== index + 1);
  if (misplaced >= 0) return `part ${misplaced + 1} missing`;
  for (const file of manifest.trees.flatMap((tree) => tree.files)) {
    const slices = file.slices ?? [];
    if (slices.some((slice) => slice.at + slice.bytes > (manifest.parts[slice.part - 1]?.bytes ?? -1)))
      return `${file.path} outside its part`;
    if (file.type === 'file' && slices.reduce((sum, slice) => sum + slice.bytes, 0) !== file.bytes)
      return `${file.path} incomplete`;
  }
  return undefined;
}
