import type { ExtractPlan, ExtractResult } from '../workflows/model/contents.ts';
import { extractedOf } from '../workflows/model/contents.ts';
import { failure } from '../workflows/model/failure.ts';
import type { ExtractOrder } from '../workflows/model/orders.ts';
import { openChained } from './chained.ts';
import type { Deps } from './deps.ts';
import { endUse, usedUnlessRefused } from './in-use.ts';
import type { PointFiles } from './sources/point-files.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** Unsupported when a source of this kind keeps no files. */
export function filesOf({ name, config, session }: SourceUse): PointFiles {
  if (session.files) return session.files;
  throw failure('Unsupported', `source ${name} has no files that could be taken out of its points`, {
    place: `source ${name}`,
    found: `kind ${config.kind}`,
    hint: `lifeboat restore ${name}`,
  });
}

/** Finds the file or relation, on the host that will have it; nothing is touched. */
export function planExtract(deps: Deps, task: ExtractOrder & { run: string }): Promise<ExtractPlan> {
  return useSource(deps, task.source, async (use) => {
    const files = filesOf(use);
    const what = extractedOf(task);
    const { run, source, point, to } = task;
    return usedUnlessRefused(use, { points: [point], wal: false }, async () => {
      const from = await openChained(use.vault, point);
      await files.checkTarget(to);
      const path = await files.find(from, what);
      return { run, source, point, host: deps.host, chain: [...from.chain], what, path, to };
    });
  });
}

export function extractFiles(deps: Deps, plan: ExtractPlan): Promise<ExtractResult> {
  return useSource(deps, plan.source, async (use) => {
    const reader = await use.vault.open(plan.point);
    return filesOf(use).extract(plan, { reader, chain: plan.chain });
  });
}

/** What it stood in until it was whole; however it ended, it reads nothing any more. */
export function discardExtract(deps: Deps, plan: ExtractPlan): Promise<void> {
  return useSource(deps, plan.source, async (use) => {
    await filesOf(use).discard(plan);
    await endUse(use).catch((error: unknown) => use.run.log.warn('a note of use stays', { error: String(error) }));
  });
}
