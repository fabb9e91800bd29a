import { chainsOf } from '../workflows/model/chain.ts';
import { failure } from '../workflows/model/failure.ts';
import { summarise } from '../workflows/model/manifest.ts';
import type { Chained } from './sources/point-files.ts';
import type { Vault } from './vault/vault.ts';

/** Opens a point with what it stands on. NotFound; Integrity when something of that is not there. */
export async function openChained(vault: Vault, point: string): Promise<Chained> {
  const reader = await vault.open(point);
  const summary = summarise(reader.manifest);
  if (summary.kind === 'full') return { reader, chain: [point] };
  const chain = chainsOf((await vault.points()).points)(summary);
  if ('links' in chain) return { reader, chain: chain.links.map((link) => link.point) };
  throw failure('Integrity', `point ${point} is not whole: ${chain.broken}`, {
    place: `${summary.source}/${point}`,
    expected: 'every point that it stands on',
    found: chain.broken,
    hint: `look for another: lifeboat list ${summary.source}`,
  });
}
