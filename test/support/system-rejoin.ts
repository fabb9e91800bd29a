import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { RejoinResult } from '../../workflows/model/rejoin.ts';
import { BESIDE, cutOff, diverge, write } from './diverged.ts';
import { hammeredIn, isStandby } from './failover-pair.ts';
import type { Scene } from './system-failover.ts';
import { withScene } from './system-failover.ts';
import type { Tell } from './system-stories.ts';
import { survive } from './system-survival.ts';
import { approveAll } from './system-take-over.ts';
import { until } from './system-until.ts';
import type { Death } from './victim.ts';

type Way = 'rewind' | 'follow' | 'reseed';

/** An old primary comes back once, as a standby that has what the new one has, whatever died on the way. */
export function duringRejoin(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const dies = (name: Death['activity']): boolean => deaths.some((death) => death.activity === name);
  const way: Way = dies('prepareStandby') ? 'follow' : dies('reseedNode') ? 'reseed' : 'rewind';
  return withScene(stage, `rejoin-${activity.toLowerCase()}`, async (scene) => {
    const { a, b, tenant } = scene;
    await part(scene, way);
    const order = { service: 'web', node: 'db-a', by: 'anna' };
    const { handle, result } = await tenant.start<RejoinResult>('rejoin', order, `rejoin/web/${activity}`);
    const approving = approveAll(handle, 'ben', result);
    await survive(tenant, deaths, result);
    const { path, salvage, following } = await result;
    await approving;
    assert.ok(following.ok);
    assert.equal(path, way);
    assert.equal((salvage?.commits ?? 0) > 0, way !== 'follow');
    assert.deepEqual([await isStandby(a), await isStandby(b)], [true, false]);
    await write(b, 'later');
    await until('it has what comes', async () => (await hammeredIn(a)).has('later') || undefined);
    assert.deepEqual(await hammeredIn(a), await hammeredIn(b));
    assert.equal(existsSync(a.dataDir + BESIDE), false);
  });
}

async function part({ a, b }: Scene, way: Way): Promise<void> {
  if (way === 'reseed') {
    // Without it pg_rewind cannot be used.
    await a.sql('alter system set full_page_writes = off');
    await a.sql('select pg_reload_conf()');
    await a.sql('checkpoint');
  }
  if (way !== 'follow') return diverge({ a, b }, ['only-a']);
  await cutOff({ a, b });
  await a.stop('immediate');
  await b.sql('select pg_promote()');
  await write(b, 'new');
}

/** Where a run dies, in the order in which it gets there. */
export const REJOIN_DEATHS: readonly { tell: Tell; deaths: readonly Death[] }[] = [
  {
    tell: duringRejoin,
    deaths: [
      { activity: 'quarantineNode', side: 'after' },
      { activity: 'examineNode', side: 'after' },
      { activity: 'salvageNode', side: 'after' },
      { activity: 'rewindNode', side: 'after' },
      { activity: 'tidyNode', side: 'after' },
    ],
  },
  {
    tell: duringRejoin,
    deaths: [
      { activity: 'traceWal', side: 'after' },
      { activity: 'holdSlot', side: 'after' },
      { activity: 'prepareStandby', side: 'after' },
    ],
  },
  {
    tell: duringRejoin,
    deaths: [
      { activity: 'examineNode', side: 'before' },
      { activity: 'reseedNode', side: 'before' },
      { activity: 'reseedNode', side: 'after' },
    ],
  },
];
