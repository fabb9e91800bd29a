import type { PointSummary } from '../../workflows/model/manifest.ts';
import type { VaultContext } from './context.ts';
import { listPoints } from './listing.ts';
import { readMarks } from './marks.ts';
import { inParallel } from './parallel.ts';
import type { Catalog } from './vault.ts';

const PARALLEL = 8;

/** Every published point with what is known of it; only what stands there is asked for. */
export async function readCatalog(vault: VaultContext, known?: ReadonlyMap<string, PointSummary>): Promise<Catalog> {
  const { points, forensic, damaged, folders } = await listPoints(vault, known);
  const marks: Catalog['marks'] = new Map();
  const marked = folders.filter(({ manifest, hold, checked }) => manifest && (hold || checked));
  await inParallel(marked, PARALLEL, async (folder) => {
    marks.set(folder.point, await readMarks(vault, folder.point, folder));
  });
  return { points, forensic, damaged, marks };
}
