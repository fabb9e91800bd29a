import { failure } from '../../workflows/model/failure.ts';
import type { Artefact, VaultContext } from './context.ts';
import { encodeWith, readArtefact } from './context.ts';
import { parseEpochKey } from './layout.ts';

const ATTEMPTS = 100;

/**
 * Takes a number for a run, higher than every one that was taken before and at least `atLeast`: the store lets one writer alone
 * have a name. A repeat gets the same number, unless somebody has taken one since.
 */
export async function takeEpoch(
  vault: VaultContext,
  { run, atLeast }: { run: string; atLeast: number },
): Promise<number> {
  const { store, layout } = vault;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let newest = 0;
    for await (const { key } of store.list(layout.epochs)) newest = Math.max(newest, parseEpochKey(key) ?? 0);
    if (newest >= atLeast && newest > 0 && (await ownerOf(vault, newest)) === run) return newest;
    const epoch = Math.max(newest + 1, atLeast);
    const { bytes } = await encodeWith(vault, {
      bytes: Buffer.from(JSON.stringify({ run })),
      artefact: artefactOf(epoch),
    });
    if ((await store.put(layout.epoch(epoch), bytes, { ifAbsent: true })).created) return epoch;
  }
  throw failure('Busy', `epochs of ${vault.options.source} are taken by others again and again`, {
    place: layout.epochs,
  });
}

async function ownerOf(vault: VaultContext, epoch: number): Promise<unknown> {
  const content = await readArtefact(vault, vault.layout.epoch(epoch), { artefact: artefactOf(epoch) });
  return (JSON.parse(content.toString('utf8')) as { run?: unknown }).run;
}

function artefactOf(epoch: number): Artefact {
  return { artefact: 'epoch', epoch: String(epoch) };
}
