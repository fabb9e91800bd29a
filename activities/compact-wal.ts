import type { CompactWalOrder } from '../workflows/model/orders.ts';
import { REFUSALS_TOLD } from '../workflows/model/retention-result.ts';
import type { CompactResult } from '../workflows/model/verify-result.ts';
import { WAL_TOLD } from '../workflows/model/wal-verify.ts';
import type { Deps } from './deps.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';
import { logOf } from './wal.ts';

type Done = Pick<CompactResult, 'objects' | 'pieces'>;

/**
 * Makes one object of the pieces that streams left of a segment. A repeat goes on with what is left; what a dead attempt had
 * done is counted as far as it was heard.
 */
export function compactWal(deps: Deps, { source, open = false }: CompactWalOrder): Promise<CompactResult> {
  return useSource(deps, source, async (use) => {
    const { vault, run } = use;
    const log = logOf(use);
    const done = { ...((run.resume as Done | undefined) ?? { objects: 0, pieces: 0 }) };
    const result: CompactResult = { source, ...done, faults: [], faultCount: 0, refused: [] };
    for (const systemId of await vault.wal.systems()) {
      const objects = await vault.wal.list({ systemId });
      const segmentBytes = await segmentBytesOf(use, systemId, objects);
      for await (const each of log.compact(vault.wal, { systemId, segmentBytes, objects, open })) {
        if ('fault' in each) {
          result.faultCount += 1;
          if (result.faults.length < WAL_TOLD) result.faults.push(each.fault);
          continue;
        }
        result.objects += 1;
        result.pieces += each.pieces;
        result.refused = [...result.refused, ...each.refused].slice(0, REFUSALS_TOLD);
        const resume: Done = { objects: result.objects, pieces: result.pieces };
        run.progress({ phase: 'compact WAL', note: each.key, counters: { ...resume }, resume });
      }
    }
    return result;
  });
}

type Objects = Awaited<ReturnType<SourceUse['vault']['wal']['list']>>;

async function segmentBytesOf(use: SourceUse, systemId: string, objects: Objects): Promise<number> {
  const { points } = await use.vault.points();
  const known = points.find((point) => point.systemId === systemId)?.segmentBytes;
  return known ?? (await logOf(use).segmentBytes(use.vault.wal, objects)) ?? 2 ** 24;
}
