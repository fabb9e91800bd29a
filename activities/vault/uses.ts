import { isFailure } from '../../workflows/model/failure.ts';
import type { Artefact, VaultContext } from './context.ts';
import { encodeWith, readArtefact } from './context.ts';
import { asJson } from './manifest/envelope.ts';
import type { UseBoard, UseNote } from './vault.ts';

/** Notes of who uses what; a note that cannot be read counts as one that uses everything. */
export function usesOf(vault: VaultContext): UseBoard {
  const { store, layout } = vault;
  return {
    put: async (name, note) => {
      const encoded = await encodeWith(vault, { bytes: Buffer.from(JSON.stringify(note)), artefact: artefactOf(name) });
      await store.put(layout.use(name), encoded.bytes);
    },
    read: (name) => readNote(vault, name),
    list: async () => {
      const found: Awaited<ReturnType<UseBoard['list']>> = [];
      for await (const { key, modifiedAt } of store.list(layout.use())) {
        const name = key.slice(layout.use().length);
        const note = await readNote(vault, name);
        if (note) found.push({ name, note, at: modifiedAt });
      }
      return found;
    },
    remove: async (prefix) => {
      for await (const { key } of store.list(layout.use(prefix))) await store.remove(key);
    },
    storeTime: async (name) => (await store.stat(layout.use(name)))?.modifiedAt,
  };
}

function artefactOf(name: string): Artefact {
  return { artefact: 'use', name };
}

const UNKNOWN: UseNote = { workflowId: '', runId: '', points: 'all', wal: true };

async function readNote(vault: VaultContext, name: string): Promise<UseNote | undefined> {
  const key = vault.layout.use(name);
  try {
    const content = asJson(await readArtefact(vault, key, { artefact: artefactOf(name) }));
    return { ...UNKNOWN, ...(content as Partial<UseNote>) };
  } catch (error) {
    if (isFailure(error, 'NotFound')) return (await vault.store.stat(key)) ? UNKNOWN : undefined;
    if (isFailure(error, 'Integrity') || isFailure(error, 'Denied')) return UNKNOWN;
    throw error;
  }
}
