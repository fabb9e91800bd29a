import { constants } from 'node:buffer';
import { isDeepStrictEqual } from 'node:util';
import { failure, isFailure } from '../../../workflows/model/failure.ts';
import type { Manifest } from '../../../workflows/model/manifest.ts';
import type { Kek } from '../codec/job.ts';
import type { Artefact, VaultContext } from '../context.ts';
import { decodeWith, encodeWith, noSuchPoint } from '../context.ts';
import type { Reader } from '../objects.ts';
import { readObject } from '../objects.ts';
import { checkManifest } from './check.ts';
import { asJson, seal, unseal, WITHDRAWN_FORMAT } from './envelope.ts';
import { MANIFEST_FORMAT } from './schema.ts';

const artefactOf = (point: string): Artefact => ({ artefact: 'manifest', point });

/** What stands at a manifest's or draft's place: `withdrawn` when it will never be a backup. */
export type Found = { manifest: Manifest; sealed: Buffer } | 'withdrawn';

/** Stores the draft: complete, encrypted and signed, and no backup yet. Bug when the manifest is not one to read again. */
export async function writeDraft(vault: VaultContext, manifest: Manifest, kek: Kek): Promise<void> {
  const { source, point } = manifest;
  const checked = checkManifest(manifest, { source: vault.options.source, point });
  if ('wrong' in checked) {
    throw failure('Bug', `manifest of ${source}/${point} is not consistent: ${checked.wrong}`);
  }
  const artefact = artefactOf(point);
  const { bytes: body } = await encodeWith(vault, { bytes: textOf(manifest), artefact, kek });
  const sealed = seal(vault.options.keys, { source, point }, { format: MANIFEST_FORMAT, body });
  if (sealed.length > SEALED_LIMIT.mostBytes) throw tooLong(manifest, `${sealed.length} bytes, encrypted`);
  await vault.store.put(vault.layout.draft(point), sealed);
}

/** Unsupported unless a reader gets it into one string again: what is published can be read. */
export function textOf(manifest: Manifest, mostBytes = constants.MAX_STRING_LENGTH): Buffer {
  let text: string;
  try {
    text = JSON.stringify(manifest);
  } catch (error) {
    if (error instanceof RangeError) throw tooLong(manifest, 'more');
    throw error;
  }
  const bytes = Buffer.from(text);
  if (bytes.length > mostBytes) throw tooLong(manifest, `${bytes.length} bytes`);
  return bytes;
}

function tooLong({ source, point, trees }: Manifest, found: string): Error {
  const files = trees.reduce((count, tree) => count + tree.files.length, 0);
  return failure('Unsupported', `the list of the ${files} files of ${source} is too long for one point`, {
    place: `${source}/${point}`,
    expected: `at most ${constants.MAX_STRING_LENGTH} bytes of JSON, ${SEALED_LIMIT.mostBytes} encrypted`,
    found,
    hint: 'spread its databases over several clusters: this backup is dropped, the older ones stay restorable',
  });
}

/** The bytes of the draft become the manifest: the last write of a backup, by one winner. */
export async function publishDraft(vault: VaultContext, point: string): Promise<Manifest> {
  const draft = await findManifest(vault, point, 'draft');
  const place = vault.layout.manifest(point);
  const sealed = (await readSealed(vault, place)) ?? (await publishNew(vault, point, draft));
  // Reading the list of a million files takes seconds: the same bytes say the same.
  const isDraft = draft !== undefined && draft !== 'withdrawn' && sealed?.equals(draft.sealed);
  const published = isDraft ? draft : sealed && (await openManifest(vault, { point, place }, sealed));
  const { manifest } = real(vault, point, published);
  if (!draft) return manifest;
  if (!isDraft && !isDeepStrictEqual(manifest, real(vault, point, draft).manifest)) throw otherContent(vault, point);
  await vault.store.remove(vault.layout.draft(point));
  return manifest;
}

/** Whether we won, lost, or asked twice: what is there afterwards is read and compared. */
async function publishNew(vault: VaultContext, point: string, draft: Found | undefined): Promise<Buffer | undefined> {
  const { manifest, sealed } = real(vault, point, draft);
  await checkPartsStored(vault, manifest);
  await vault.store.put(vault.layout.manifest(point), sealed, { ifAbsent: true });
  return readSealed(vault, vault.layout.manifest(point));
}

/** Integrity unless every part is there in its full length. */
export async function checkPartsStored(vault: VaultContext, manifest: Manifest): Promise<void> {
  const stored = new Map<string, number>();
  for await (const item of vault.store.list(vault.layout.parts(manifest.point))) stored.set(item.key, item.bytes);
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

/** The manifest of a published point. NotFound when there is none. */
export async function readManifest(vault: VaultContext, point: string): Promise<Manifest> {
  return real(vault, point, await findManifest(vault, point, 'manifest')).manifest;
}

/** Reserves the manifest's name for good: from then on nobody can publish this point. False when it is published. */
export async function withdraw(vault: VaultContext, point: string): Promise<boolean> {
  const { created } = await vault.store.put(vault.layout.manifest(point), noticeFor(vault, point), { ifAbsent: true });
  return created || (await findManifest(vault, point, 'manifest')) === 'withdrawn';
}

function noticeFor({ options }: VaultContext, point: string): Buffer {
  const { keys, source } = options;
  return seal(keys, { source, point }, { format: WITHDRAWN_FORMAT, body: Buffer.alloc(0) });
}

/**
 * Makes a published point one that is none: from then on nobody starts to read it. Its manifest stands as a draft beside
 * the notice until the parts are gone, so that whoever goes on after a death knows what to do. A repeat does nothing.
 */
export async function retireManifest(vault: VaultContext, point: string): Promise<void> {
  const found = await findManifest(vault, point, 'manifest');
  if (found === undefined || found === 'withdrawn') return;
  await vault.store.put(vault.layout.draft(point), found.sealed);
  await vault.store.put(vault.layout.manifest(point), noticeFor(vault, point));
}

/** Whether a point is published now; its signature is checked, what it holds is not read. */
export async function isPublished(vault: VaultContext, point: string): Promise<boolean> {
  const sealed = await readSealed(vault, vault.layout.manifest(point));
  return sealed !== undefined && isManifest(vault, point, sealed);
}

/** False for a notice in a manifest's place. */
export function isManifest({ options, layout }: VaultContext, point: string, sealed: Buffer): boolean {
  const at = { source: options.source, point, place: layout.manifest(point) };
  return unseal(options.keys, at, sealed).format === MANIFEST_FORMAT;
}

/** Reads, checks the signature, decrypts and checks; undefined means "asked, and it is not there". */
export async function findManifest(
  vault: VaultContext,
  point: string,
  which: 'draft' | 'manifest',
): Promise<Found | undefined> {
  const sealed = await readSealed(vault, vault.layout[which](point));
  return sealed && openManifest(vault, { point, place: vault.layout[which](point) }, sealed);
}

/** The plaintext is many times longer and must fit into one string. "}" stands at the end of an envelope and nowhere else. */
const SEALED_LIMIT = { mostBytes: 256 << 20, isWhole: (bytes: Buffer): boolean => bytes.at(-1) === 0x7d };

export async function readSealed(vault: Reader, place: string): Promise<Buffer | undefined> {
  try {
    return await readObject(vault, place, SEALED_LIMIT);
  } catch (error) {
    if (isFailure(error, 'NotFound') && !(await vault.store.stat(place))) return undefined;
    throw error;
  }
}

export async function openManifest(
  vault: VaultContext,
  at: { point: string; place: string },
  sealed: Buffer,
): Promise<Found> {
  const { keys, source } = vault.options;
  const { format, body } = unseal(keys, { source, ...at }, sealed);
  if (format === WITHDRAWN_FORMAT) return 'withdrawn';
  const plain = await decodeWith(vault, Buffer.from(body), { place: at.place, artefact: artefactOf(at.point) });
  const checked = checkManifest(asJson(plain), { source, point: at.point });
  if ('manifest' in checked) return { manifest: checked.manifest, sealed };
  throw failure('Integrity', `${at.place} does not describe a backup`, { place: at.place, found: checked.wrong });
}

function real(vault: VaultContext, point: string, found: Found | undefined): Exclude<Found, 'withdrawn'> {
  if (found !== undefined && found !== 'withdrawn') return found;
  throw noSuchPoint(vault.options.source, point);
}

function otherContent(vault: VaultContext, point: string): Error {
  const place = vault.layout.manifest(point);
  return failure('Integrity', `point ${point} is published with other content`, {
    place,
    expected: `the content of ${vault.layout.draft(point)}`,
    found: 'another manifest',
    hint: `lifeboat verify ${point}`,
  });
}
