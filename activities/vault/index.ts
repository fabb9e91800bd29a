import { failure } from '../../workflows/model/failure.ts';
import { summarise } from '../../workflows/model/manifest.ts';
import type { Run } from '../io/run.ts';
import type { StoreSession } from '../stores/store.ts';
import { abortable } from './abortable.ts';
import { joinCodecPool } from './codec/pool.ts';
import type { VaultContext } from './context.ts';
import { beginPoint } from './draft.ts';
import { takeEpoch } from './epochs.ts';
import { createKekStore } from './keys/key-store.ts';
import { layoutOf } from './layout.ts';
import { discardPoints, listPoints } from './listing.ts';
import { checkPartsStored, isPublished, publishDraft, readManifest, retireManifest } from './manifest/store.ts';
import { noteChecked, putHold, readMarks, removeHold } from './marks.ts';
import { openPoint, verifyPoint } from './points.ts';
import { reportsOf } from './reports.ts';
import type { Vault, VaultOptions } from './vault.ts';
import { readCatalog } from './catalog.ts';
import { sweepPoints } from './sweep.ts';
import { usesOf } from './uses.ts';
import { walOf } from './wal.ts';

export { createKeys, loadKeyRing, loadRecoveryPrivate, loadRoot, newKeysIn } from './keys/files.ts';
export type { KeyFiles, NewKeys } from './keys/files.ts';
export type { Opener } from './keys/kek.ts';
export { keyNameText, openerName, wrappers } from './keys/kek.ts';
export { planRewrap } from './keys/rewrap.ts';
export type { Rewrap, RewrapPlan } from './keys/rewrap.ts';

/**
 * Opens the vault of one source on a store; nothing is read or written yet. Whatever it does ends with `run.signal`.
 * Disposal ends its share of the threads, and leaves the store open.
 */
export async function openVault(store: StoreSession, options: VaultOptions, run: Run): Promise<Vault> {
  checkSource(options.source);
  const layout = layoutOf(options.source);
  const ending = abortable(store, run.signal);
  const keks = createKekStore({ source: options.source, store: ending, layout, keys: options.keys, run });
  return vaultOf({ store: ending, layout, options, keks, codec: joinCodecPool(run.signal), run });
}

function vaultOf(vault: VaultContext): Vault {
  return {
    begin: (point) => beginPoint(vault, point),
    publish: async (point) => summarise(await publishDraft(vault, point)),
    discard: (prefix, keep) => discardPoints(vault, prefix, keep),
    points: async () => {
      const { points, forensic, damaged } = await listPoints(vault);
      return { points, forensic, damaged };
    },
    catalog: (known) => readCatalog(vault, known),
    marks: (point) => readMarks(vault, point),
    hold: (point, hold) => putHold(vault, point, hold),
    release: (point) => removeHold(vault, point),
    noteChecked: (point, news) => noteChecked(vault, point, news),
    isPublished: (point) => isPublished(vault, point),
    retire: (point) => retireManifest(vault, point),
    sweep: (rules) => sweepPoints(vault, rules),
    uses: usesOf(vault),
    open: (point) => openPoint(vault, point),
    checkStored: async (point) => checkPartsStored(vault, await readManifest(vault, point)),
    verify: (point, onBytes) => verifyPoint(vault, point, onBytes),
    wal: walOf(vault),
    ...reportsOf(vault),
    takeEpoch: (order) => takeEpoch(vault, order),
    [Symbol.asyncDispose]: () => vault.codec[Symbol.asyncDispose](),
  };
}

/** A source's name is the first piece of every key and a piece of its keys' names. */
function checkSource(source: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(source)) return;
  throw failure('ConfigInvalid', `source "${source}" cannot be the name of a folder`, {
    expected: 'letters, digits, "-" and "_", at most 63',
    found: source,
  });
}
