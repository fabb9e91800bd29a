import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure } from '../../../../workflows/model/failure.ts';
import type { FileEntry, FileTree, Manifest } from '../../../../workflows/model/manifest.ts';
import type { Run } from '../../../io/run.ts';
import type { PointReader } from '../../source.ts';
import { applyStaged } from '../recovery/fetch-link.ts';
import { sizesOf } from '../recovery/link-places.ts';
import type { FilePlace, PlaceOf } from '../recovery/parts.ts';
import { writeParts } from '../recovery/parts.ts';
import { pathOf } from './paths.ts';

export interface Gathering {
  /** The newest point, from which the others are opened. */
  reader: PointReader;
  /** From the full point to the newest. */
  chain: readonly string[];
  run: Run;
}

export interface Gathered {
  files: number;
  bytes: number;
  parts: number;
  storedBytes: number;
}

/** Absolute place of a wanted file, which is not there yet; undefined for any other. */
export type Wanted = (path: string) => string | undefined;

/**
 * Fetches single files of a point, and of the points that it stands on only the parts that those files need. Every piece is
 * written only when its sum is right; changed blocks go into the older file, the oldest first.
 */
export async function gather(use: Gathering, wanted: Wanted): Promise<Gathered> {
  const needs = await needsOf(use, wanted);
  const sum: Gathered = { files: 0, bytes: 0, parts: 0, storedBytes: 0 };
  for (const { point, files } of needs.toReversed()) {
    const reader = await openPoint(use.reader, point);
    const placeOf = placesIn(reader.manifest, files);
    await makeFiles(reader.manifest, placeOf);
    const { needed } = await writeParts({
      ...{ reader, run: use.run, placeOf, isDone: () => false, finished: async () => undefined },
    });
    await applyStaged({ manifest: reader.manifest, run: use.run }, placeOf);
    for (const to of files.values()) await rm(stagedAt(to), { force: true });
    sum.parts += needed.length;
    for (const part of needed) {
      sum.bytes += part.bytes;
      sum.storedBytes += part.storedBytes;
    }
  }
  return { ...sum, files: needs[0]?.files.size ?? 0 };
}

/** What is needed of a point: path -> absolute place. */
interface Need {
  point: string;
  files: Map<string, string>;
}

/** From the newest point back to where every file is whole. */
async function needsOf({ reader: newest, chain }: Gathering, wanted: Wanted): Promise<Need[]> {
  const needs: Need[] = [];
  let open: Map<string, string> | undefined;
  for (const point of chain.toReversed()) {
    if (open?.size === 0) break;
    const { manifest } = await openPoint(newest, point);
    const before: ReadonlyMap<string, string> | undefined = open;
    const found = filesIn(manifest, (path) => (before ? before.get(path) : wanted(path)));
    const missing: string | undefined = before && [...before.keys()].find((path) => !found.files.has(path));
    if (missing !== undefined) throw noOlder(missing, point);
    needs.push({ point, files: found.files });
    open = found.changed;
  }
  const [left] = open?.keys() ?? [];
  if (left === undefined) return needs;
  throw noOlder(left, chain[0] ?? '');
}

function noOlder(path: string, point: string): Error {
  return failure('Integrity', `changed blocks of ${path} change nothing`, {
    place: path,
    expected: `the older file in ${point}`,
    found: 'no such file',
    hint: 'take it from an older point: lifeboat list',
  });
}

function filesIn(manifest: Manifest, wanted: Wanted): { files: Map<string, string>; changed: Map<string, string> } {
  const [files, onlyChanged] = [new Map<string, string>(), new Map<string, string>()];
  const isIncrement = manifest.kind !== 'full';
  for (const tree of manifest.trees) {
    for (const file of tree.files) {
      if (file.type !== 'file') continue;
      const { path, changed } = pathOf(tree, file, isIncrement);
      const to = wanted(path);
      if (to === undefined) continue;
      files.set(path, to);
      if (changed) onlyChanged.set(path, to);
    }
  }
  return { files, changed: onlyChanged };
}

export async function openPoint(newest: PointReader, point: string): Promise<PointReader> {
  return point === newest.manifest.point ? newest : newest.other(point);
}

function placesIn(manifest: Manifest, files: ReadonlyMap<string, string>): PlaceOf {
  const isIncrement = manifest.kind !== 'full';
  const sizes = sizesOf(manifest.settings);
  return (tree: FileTree, file: FileEntry): FilePlace | undefined => {
    if (file.type !== 'file') return undefined;
    const { path, changed } = pathOf(tree, file, isIncrement);
    const to = files.get(path);
    if (to === undefined) return undefined;
    return changed ? { path: to, increment: { ...sizes, staged: stagedAt(to) } } : { path: to };
  };
}

function stagedAt(to: string): string {
  return `${to}.blocks`;
}

/** Empty ones have no piece that would make them. */
async function makeFiles(manifest: Manifest, placeOf: PlaceOf): Promise<void> {
  for (const tree of manifest.trees) {
    for (const file of tree.files) {
      if (file.type !== 'file' || file.bytes > 0) continue;
      const place = placeOf(tree, file);
      if (!place) continue;
      await mkdir(dirname(place.path), { recursive: true, mode: 0o700 });
      await (await open(place.path, 'w', 0o600)).close();
    }
  }
}
