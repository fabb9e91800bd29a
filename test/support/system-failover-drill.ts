import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { FailoverDrillResult } from '../../workflows/model/failover-drill.ts';
import { waitFor } from '../../workers/dev/demo/wait-for.ts';
import { processesUnder, standing } from './drilled.ts';
import type { Scene } from './system-failover.ts';
import { withScene } from './system-failover.ts';
import type { Tell } from './system-stories.ts';
import { killedBy, survive } from './system-survival.ts';
import type { Death } from './victim.ts';
import { HELD } from './victim.ts';

/** Drilled once, or cancelled with its clone up: nothing of it is left, and the two servers are what they were, whatever died on the way. */
export function duringFailoverDrill(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const name = `drill-${activity.toLowerCase()}`;
  return withScene(stage, name, async (scene) => {
    const { a, b } = scene;
    const before = [await standing(a), await standing(b)];
    if (deaths.some((death) => death.activity === 'removeClone')) await cancelled(scene, name, deaths);
    else await passed(scene, name, deaths);
    assert.deepEqual([await standing(a), await standing(b)], before);
    assert.equal(existsSync(`${b.dataDir}.drill`), false);
    assert.deepEqual(await processesUnder(`${b.dataDir}.drill`), []);
  });
}

async function passed({ tenant }: Scene, name: string, deaths: readonly Death[]): Promise<void> {
  const { result } = await tenant.start<FailoverDrillResult>('failoverDrill', { service: 'web' }, `failover-drill/web/${name}`); // prettier-ignore
  await survive(tenant, deaths, result);
  const { promotion, checks, to } = await result;
  // A second promotion would have made another timeline.
  assert.deepEqual([to, promotion.oldTimeline, promotion.timeline], ['db-b', 1, 2]);
  assert.deepEqual(checks.filter(({ ok }) => !ok), []); // prettier-ignore
}

async function cancelled({ tenant, b }: Scene, name: string, deaths: readonly Death[]): Promise<void> {
  const { handle, result } = await tenant.start('failoverDrill', { service: 'web' }, `failover-drill/web/${name}`);
  const [first, ...others] = deaths;
  assert.ok(first);
  const holder = await tenant.startWorker({ holds: 'checkClone', dies: first });
  const { signal } = new AbortController();
  await waitFor({ file: holder.logFile, text: HELD, ended: holder.exited, signal });
  assert.ok((await processesUnder(`${b.dataDir}.drill`)).length > 0);
  await handle.cancel();
  await killedBy(holder, first, result);
  await survive(tenant, others, result);
  await assert.rejects(result, { name: 'WorkflowFailedError', message: 'Workflow execution cancelled' });
}

/** Where a drill dies, in the order in which it gets there. */
export const DRILL_DEATHS: readonly { tell: Tell; deaths: readonly Death[] }[] = [
  {
    tell: duringFailoverDrill,
    deaths: [
      { activity: 'makeClone', side: 'after' },
      { activity: 'startClone', side: 'after' },
      { activity: 'promoteNode', side: 'after' },
      { activity: 'checkClone', side: 'after' },
    ],
  },
  {
    tell: duringFailoverDrill,
    deaths: [
      { activity: 'removeClone', side: 'before' },
      { activity: 'removeClone', side: 'after' },
    ],
  },
];
