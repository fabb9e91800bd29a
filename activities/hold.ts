import { failure } from '../workflows/model/failure.ts';
import type { HoldOrder } from '../workflows/model/orders.ts';
import type { HoldResult } from '../workflows/model/retention-result.ts';
import type { Deps } from './deps.ts';
import { awaitRemoval } from './in-use.ts';
import { isoTime } from './io/clock.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** Puts a hold on a point or takes it off. When it returns, the point is there, and a hold keeps it. */
export function markPoint(deps: Deps, { source, point, reason, release }: HoldOrder): Promise<HoldResult> {
  return useSource(deps, source, async (use): Promise<HoldResult> => {
    const { vault, run } = use;
    if (!(await vault.isPublished(point))) throw absent(source, point);
    if (release === true) {
      await vault.release(point);
      return { source, point };
    }
    const known = (await vault.marks(point)).held;
    const held = known && known.reason === reason ? known : { reason: reason ?? '', at: isoTime(run.clock.nowMs()) };
    await vault.hold(point, held);
    await awaitRemoval(use, [point]);
    await checkStays(use, point);
    return { source, point, held };
  });
}

/** It may have been removed before the hold was seen: then there is nothing that a hold could be on. */
async function checkStays({ vault, name }: SourceUse, point: string): Promise<void> {
  if (await vault.isPublished(point)) return;
  await vault.release(point);
  throw absent(name, point);
}

function absent(source: string, point: string): Error {
  return failure('NotFound', `recovery point ${point} does not exist`, {
    place: `source ${source}`,
    expected: 'a published recovery point',
    found: point,
    hint: `lifeboat list ${source}`,
  });
}
