import type { CopyReach } from '../workflows/model/reachable-map.ts';
import { reachOf } from '../workflows/model/reachable-map.ts';
import { holdingsOf } from './holdings.ts';
import type { SourceUse } from './use-source.ts';

/** What can be restored now, copy by copy. Of a source that was made anew under its name, the newest cluster counts. */
export async function readReach({ vault, config }: SourceUse): Promise<CopyReach[]> {
  const { points, damaged } = await vault.points();
  const systemId = points.at(-1)?.systemId;
  if (systemId === undefined)
    return [{ copy: config.store, timelines: [], bases: [], holes: [], damaged: damaged.slice() }];
  return [reachOf(config.store, { ...(await holdingsOf(vault, { systemId, points })), systemId, damaged })];
}
