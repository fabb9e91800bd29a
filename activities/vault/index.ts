import { summarise } from '../../workflows/model/manifest.ts';
import type { Run } from '../io/run.ts';
import type { StoreSession } from '../stores/store.ts';
import { createCodecPool } from './codec/pool.ts';
import { encodeWith } from './context.ts';
import type { VaultContext } from './context.ts';
import { createKekStore } from './keys/key-store.ts';
import { layoutOf } from './layout.ts';
import { publishDraft } from './manifest/store.ts';
import { beginPoint, discardDrafts, listPoints, openPoint, verifyPoint } from './points.ts';
import type { Vault, VaultOptions } from './vault.ts';
import { walOf } from './wal.ts';

export { createKeys, loadKeyRing } from './keys/files.ts';
export type { KeyFiles, NewKeys } from './keys/files.ts';

/** Opens the vault of one source on a store. Nothing is read or written yet. Closes its threads, not the store. */
export function openVault(store: StoreSession, options: VaultOptions, run: Run): Vault {
  const layout = layoutOf(options.source);
  const keks = createKekStore({ source: options.source, store, layout, keys: options.keys, run });
  const codec = createCodecPool();
  const vault: VaultContext = { store, layout, options, keks, codec, run };
  return {
    begin: (point) => beginPoint(vault, point),
    publish: async (point) => summarise(await publishDraft(vault, point)),
    discard: (prefix, keep) => discardDrafts(vault, prefix, keep),
    points: () => listPoints(vault),
    open: (point) => openPoint(vault, point),
    verify: (point, onBytes) => verifyPoint(vault, point, onBytes),
    wal: walOf(vault),
    putReport: async (name, bytes) => {
      const key = layout.report(name);
      const encoded = await encodeWith(vault, { bytes, artefact: { artefact: 'report', name } });
      await store.put(key, encoded.bytes);
      return { key };
    },
    [Symbol.asyncDispose]: () => codec[Symbol.asyncDispose](),
  };
}
