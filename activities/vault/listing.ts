import { failureTypeOf, findFailure, isRetryable } from '../../workflows/model/failure.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { summarise } from '../../workflows/model/manifest.ts';
import type { VaultContext } from './context.ts';
import { findManifest, isManifest, openManifest, readSealed, withdraw } from './manifest/store.ts';
import { inParallel } from './parallel.ts';
import type { Points } from './vault.ts';

export interface Listing extends Points {
  /** What stands in the folder of each point. */
  folders: Folder[];
}

/** Manifests or objects handled at once. */
const PARALLEL = 8;

/** `known` are summaries of points whose manifests need not be read again: they never change. */
export async function listPoints(
  vault: VaultContext,
  known: ReadonlyMap<string, PointSummary> = new Map(),
): Promise<Listing> {
  const listing: Listing = { points: [], forensic: [], damaged: [], folders: [] };
  await inParallel(pointFolders(vault), PARALLEL, async (folder) => {
    listing.folders.push(folder);
    if (folder.manifest) await addPoint(vault, folder.point, { listing, known: known.get(folder.point) });
  });
  for (const list of [listing.points, listing.forensic]) list.sort(byAge);
  listing.damaged.sort((a, b) => (a.point < b.point ? -1 : 1));
  return listing;
}

/** Oldest first. */
function byAge(a: PointSummary, b: PointSummary): number {
  const key = (point: PointSummary): string => `${point.stoppedAt} ${point.point}`;
  return key(a) < key(b) ? -1 : 1;
}

function add(listing: Listing, point: PointSummary): void {
  listing[point.forensic ? 'forensic' : 'points'].push(point);
}

async function addPoint(
  vault: VaultContext,
  point: string,
  { listing, known }: { listing: Listing; known: PointSummary | undefined },
): Promise<void> {
  const place = vault.layout.manifest(point);
  const sealed = await readSealed(vault, place);
  if (!sealed) return;
  try {
    if (known && isManifest(vault, point, sealed)) return add(listing, known);
    const found = await openManifest(vault, { point, place }, sealed);
    if (found !== 'withdrawn') add(listing, summarise(found.manifest));
  } catch (error) {
    // One damaged manifest must not hide the others; a store that is away must not look like damage.
    if (isRetryable(error) || failureTypeOf(error) === undefined) throw error;
    listing.damaged.push({ point, reason: findFailure(error)?.message ?? String(error) });
  }
}

export async function discardPoints(
  vault: VaultContext,
  prefix: string,
  keep: string | undefined,
): Promise<{ removed: number }> {
  let removed = 0;
  for await (const folder of pointFolders(vault, prefix)) {
    if (folder.point !== keep && (await discardPoint(vault, folder))) removed += 1;
  }
  return { removed };
}

/**
 * Before the first part goes, the name of the manifest is reserved: a publish of this point that hangs somewhere, and
 * would arrive when nobody waits for it any more, finds the place taken. Draft last: with it a repeat knows what to do.
 */
export async function discardPoint(vault: VaultContext, { point, draft, manifest }: Folder): Promise<boolean> {
  const { store, layout } = vault;
  if (manifest && !draft) return false;
  if (draft && !(await mayDiscard(vault, point, manifest))) return false;
  await inParallel(store.list(layout.parts(point)), PARALLEL, ({ key }) => store.remove(key));
  if (draft) await store.remove(layout.draft(point));
  return true;
}

async function mayDiscard(vault: VaultContext, point: string, manifest: boolean): Promise<boolean> {
  if (!manifest) return withdraw(vault, point);
  try {
    return (await findManifest(vault, point, 'manifest')) === 'withdrawn';
  } catch (error) {
    // Whatever it says, it is there: what was published is never removed here.
    if (failureTypeOf(error) === 'Integrity' || failureTypeOf(error) === 'Unsupported') return false;
    throw error;
  }
}

type Place = Pick<VaultContext, 'store' | 'layout'>;

/** Points that have a manifest, or a notice in its place, by name; nothing of them is read. */
export async function* pointsWithManifest(vault: Place): AsyncIterable<string> {
  for await (const { point, manifest } of pointFolders(vault)) if (manifest) yield point;
}

export interface Folder {
  point: string;
  draft: boolean;
  manifest: boolean;
  hold: boolean;
  checked: boolean;
}

/** Every point folder, without listing its parts: whatever is no part sorts before "p000001", then we skip ahead. */
export async function* pointFolders(vault: Place, prefix = ''): AsyncIterable<Folder> {
  const { points, draft, manifest, hold, checked } = vault.layout;
  let after: string | undefined;
  for (;;) {
    const seen = await firstKeys(vault, points + prefix, after);
    const point = seen[0]?.slice(points.length).split('/')[0];
    if (point === undefined) return;
    const has = (place: (point: string) => string): boolean => seen.includes(place(point));
    yield { point, draft: has(draft), manifest: has(manifest), hold: has(hold), checked: has(checked) };
    after = `${points}${point}/q`;
  }
}

/** Keys of the first folder behind `after`, up to its first part. */
async function firstKeys(vault: Place, prefix: string, after: string | undefined): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of vault.store.list(prefix, after === undefined ? {} : { startAfter: after })) {
    const folder = key.slice(0, key.lastIndexOf('/') + 1);
    if (keys[0] !== undefined && !keys[0].startsWith(folder)) break;
    keys.push(key);
    if (/\/p\d+$/.test(key)) break;
  }
  return keys;
}
