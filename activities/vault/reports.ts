import type { VaultContext } from './context.ts';
import { encodeWith, readArtefact } from './context.ts';
import type { Vault } from './vault.ts';

/** Objects that people and forecasts read, and no recovery: docs/format.md "Reports". */
export function reportsOf(
  vault: VaultContext,
): Pick<Vault, 'putReport' | 'reportNames' | 'readReport' | 'removeReport'> {
  const { store, layout } = vault;
  const artefact = (name: string): { artefact: string; name: string } => ({ artefact: 'report', name });
  return {
    putReport: async (name, bytes) => {
      const key = layout.report(name);
      const encoded = await encodeWith(vault, { bytes, artefact: artefact(name) });
      await store.put(key, encoded.bytes);
      return { key };
    },
    reportNames: async (prefix) => {
      const names: string[] = [];
      const folder = layout.report('');
      for await (const { key } of store.list(layout.report(prefix))) names.push(key.slice(folder.length));
      return names;
    },
    readReport: (name) => readArtefact(vault, layout.report(name), { artefact: artefact(name) }),
    removeReport: (name) => store.remove(layout.report(name)),
  };
}
