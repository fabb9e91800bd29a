import { unlessRefused } from '../io/unless-refused.ts';
import type { VaultContext } from './context.ts';
import type { Folder } from './listing.ts';
import { discardPoint, pointFolders } from './listing.ts';
import { findManifest, isPublished } from './manifest/store.ts';
import type { Swept, SweepRules } from './vault.ts';

/** A publish that arrives later than this belongs to nothing that still runs. */
const NOTICE_DAYS = 30;
const DAY_MS = 86_400_000;

/**
 * Removes what is left of points that are none: of withdrawn ones everything, of unfinished ones what no run will finish. A
 * store that refuses to delete something is told, and keeps nothing else from going.
 */
export async function sweepPoints(vault: VaultContext, rules: SweepRules): Promise<Swept> {
  const swept: Swept = { removed: [], refused: [] };
  for await (const folder of pointFolders(vault)) {
    vault.run.signal.throwIfAborted();
    await unlessRefused(swept.refused, folder.point, async () => {
      if (await sweepFolder(vault, folder, rules)) swept.removed.push(folder.point);
    });
  }
  return swept;
}

async function sweepFolder(vault: VaultContext, folder: Folder, rules: SweepRules): Promise<boolean> {
  const { point, draft, manifest } = folder;
  if (!manifest) return (await isAbandoned(vault, point, rules)) && (await discardPoint(vault, folder));
  if (!draft) return removeOldNotice(vault, folder, rules).then(() => false);
  if (await isPublished(vault, point)) return removeCopy(vault, point);
  await removeMarks(vault, folder);
  return discardPoint(vault, folder);
}

/** A death between the copy of a manifest and the notice in its place; the point is as good as it was. */
async function removeCopy(vault: VaultContext, point: string): Promise<boolean> {
  const [draft, manifest] = [await findManifest(vault, point, 'draft'), await findManifest(vault, point, 'manifest')];
  if (typeof draft !== 'object' || typeof manifest !== 'object' || !draft.sealed.equals(manifest.sealed)) return false;
  await vault.store.remove(vault.layout.draft(point));
  return false;
}

async function removeMarks({ store, layout }: VaultContext, { point, hold, checked }: Folder): Promise<void> {
  if (checked) await store.remove(layout.checked(point));
  if (hold) await store.remove(layout.hold(point));
}

/** Nothing came into its folder for long, and no run that is known works on it. */
async function isAbandoned({ store, layout }: VaultContext, point: string, rules: SweepRules): Promise<boolean> {
  if (rules.isSpared(point)) return false;
  let newestMs = 0;
  for await (const { modifiedAt } of store.list(`${layout.points}${point}/`)) {
    newestMs = Math.max(newestMs, Date.parse(modifiedAt));
  }
  return newestMs > 0 && rules.nowMs - newestMs > rules.abandonedAfterMs;
}

/** Notices whose time is over: what they keep from being published has long been forgotten. */
async function removeOldNotice(vault: VaultContext, folder: Folder, { nowMs, isPoint }: SweepRules): Promise<void> {
  const { point } = folder;
  if (isPoint(point) || nowMs - namedMs(point) < NOTICE_DAYS * DAY_MS || (await hasParts(vault, point))) return;
  if (await isPublished(vault, point)) return;
  await removeMarks(vault, folder);
  await vault.store.remove(vault.layout.manifest(point));
}

async function hasParts({ store, layout }: VaultContext, point: string): Promise<boolean> {
  for await (const _ of store.list(layout.parts(point))) return true;
  return false;
}

/** When the run began that a point is named after; a name of another form is never old. */
function namedMs(point: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(point);
  if (!match) return Infinity;
  const [year = 0, month = 1, day, hour, minute, second] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
