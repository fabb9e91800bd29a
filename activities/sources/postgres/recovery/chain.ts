import { failure } from '../../../../workflows/model/failure.ts';
import type { Manifest } from '../../../../workflows/model/manifest.ts';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import { crc32cCombine } from '../../../io/crc32c.ts';
import type { PointReader } from '../../source.ts';
import { changedFile, changedFiles, fileKey } from './changed-file.ts';

/** A point of a chain. */
export interface Link {
  reader: PointReader;
  /** The one that stands on it; absent for the newest. */
  next?: PointReader;
}

/** The points of a plan's base, the full one first; two are open at a time, beside the newest. */
export async function* linksOf(plan: RecoveryPlan, newest: PointReader): AsyncGenerator<Link> {
  const ids = plan.chain ?? [plan.base.point];
  let reader: PointReader | undefined;
  for (const [index, id] of ids.entries()) {
    reader ??= await openLink(newest, id);
    const nextId = ids[index + 1];
    const next = nextId === undefined ? undefined : await openLink(newest, nextId);
    yield { reader, ...(next ? { next } : {}) };
    reader = next;
  }
}

async function openLink(newest: PointReader, id: string): Promise<PointReader> {
  return id === newest.manifest.point ? newest : newest.other(id);
}

/** Integrity, with the place, when the points do not make up a cluster. Nothing is touched before. */
export async function checkChain(plan: RecoveryPlan, newest: PointReader): Promise<void> {
  let parent: Manifest | undefined;
  let brings = new Set<string>();
  for await (const { reader, next } of linksOf(plan, newest)) {
    const { manifest } = reader;
    checkFiles(manifest);
    checkParent(manifest, parent, newest.manifest);
    checkBases(manifest, { parent, brings });
    brings = next ? bringsOf(manifest) : new Set();
    parent = manifest;
  }
  if (parent?.point === plan.base.point) return;
  throw failure('Bug', `chain of ${plan.base.point} ends in ${parent?.point ?? 'nothing'}`);
}

/** The slices of each file, whose sums are checked as they are written, together must be the file the server read. */
function checkFiles(manifest: Manifest): void {
  for (const file of manifest.trees.flatMap((tree) => tree.files)) {
    if (file.type !== 'file') continue;
    const whole = (file.slices ?? []).reduce((sum, slice) => crc32cCombine(sum, slice.crc32c, slice.bytes), 0);
    if (whole === file.crc32c) continue;
    throw failure('Integrity', `${file.path} is not what its slices add up to`, {
      place: file.path,
      expected: hex(file.crc32c ?? 0),
      found: hex(whole),
    });
  }
}

function hex(value: number): string {
  return `CRC-32C ${value.toString(16).padStart(8, '0')}`;
}

function checkParent(manifest: Manifest, parent: Manifest | undefined, newest: Manifest): void {
  const place = `${manifest.source}/${manifest.point}`;
  const refuse = (what: string, expected: string, found: string): Error =>
    failure('Integrity', `point ${manifest.point} ${what}`, {
      ...{ place, expected, found },
      hint: `restore another point, and take a full one: lifeboat backup ${manifest.source}`,
    });
  const { systemId } = manifest.identity;
  if (systemId !== newest.identity.systemId)
    throw refuse('is of another cluster', `system identifier ${newest.identity.systemId}`, systemId);
  if (manifest.parent !== parent?.point)
    throw refuse('stands on another point', parent?.point ?? 'a full point', manifest.parent ?? 'a full point');
}

/** Changed blocks need the file that they change. */
function checkBases(
  manifest: Manifest,
  { parent, brings }: { parent: Manifest | undefined; brings: Set<string> },
): void {
  if (!parent) return;
  const whole = new Set<string>();
  for (const tree of manifest.trees) for (const file of tree.files) whole.add(fileKey(tree, file.path));
  for (const key of changedFiles(manifest.trees)) {
    const found = whole.has(key) ? 'the whole file beside it' : brings.has(key) ? undefined : 'no such file';
    if (found === undefined) continue;
    throw failure('Integrity', `changed blocks of ${key} in ${manifest.point} change nothing`, {
      place: key,
      expected: `the older file in ${parent.point}`,
      found,
    });
  }
}

/** Files that are there when a point is in place. */
function bringsOf({ kind, trees }: Manifest): Set<string> {
  const keys = new Set<string>();
  for (const tree of trees) {
    for (const file of tree.files) {
      if (file.type !== 'file') continue;
      const changed = kind === 'full' ? undefined : changedFile(tree, file);
      keys.add(fileKey(tree, changed ?? file.path));
    }
  }
  return keys;
}
