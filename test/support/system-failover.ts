import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { waitFor } from '../../workers/dev/demo/wait-for.ts';
import { runningServer } from '../../activities/io/postgres/server.ts';
import { progressQuery, refuseUpdate } from '../../workflows/messages.ts';
import type { FailoverResult } from '../../workflows/model/failover.ts';
import type { Readiness } from '../../workflows/model/readiness.ts';
import type { Pair } from './failover-pair.ts';
import { addressIn, Hammer, hammeredIn, isStandby, pairConfig, withPair, withThird } from './failover-pair.ts';
import type { FileSwitch } from './file-switch.ts';
import { fileSwitch } from './file-switch.ts';
import { withPostgres } from './postgres.ts';
import type { Stage, Tell } from './system-stories.ts';
import { killedBy, survive } from './system-survival.ts';
import { approveAll } from './system-take-over.ts';
import { until } from './system-until.ts';
import type { Tenant } from './system.ts';
import type { Death } from './victim.ts';
import { HELD } from './victim.ts';

export interface Scene extends Pair {
  tenant: Tenant;
  lb: FileSwitch;
}

const SMALL = { shared_buffers: '16MB', full_page_writes: 'on' };

/** Two servers of their own, or three, all in the hands of one worker after the other. */
export function withScene(
  { system, third }: Stage & { third?: boolean },
  name: string,
  callback: (scene: Scene) => Promise<void>,
): Promise<void> {
  const onServers = (pair: Pair): Promise<void> => (third ? withThird(pair, onAll) : onAll(pair));
  const onAll = async (pair: Pair): Promise<void> => {
    const lb = await fileSwitch(join(system.stack.dir, `${name}.traffic`), { [addressIn(pair.a)]: 100 });
    const more = { approvals: { planned: { of: 1 }, breakGlass: { of: 1 } }, automatic: [] };
    const top = pairConfig(pair, { lb, source: 'shop', hosts: [name, name], more });
    const tenant = await system.tenant({ name, source: 'shop', top });
    await callback({ ...pair, tenant, lb });
  };
  return withPostgres({ settings: SMALL }, (primary) => withPair(primary, onServers));
}

function nameOf(activity: string, kind: string): string {
  return `${kind}-${activity.toLowerCase()}`;
}

/** The two change places once, and nothing that was acknowledged is lost, whatever died on the way. */
export function duringFailover(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const name = nameOf(activity, 'planned');
  const third = deaths.some((death) => death.activity === 'repointNode');
  return withScene({ ...stage, third }, name, async ({ a, b, c, tenant, lb }) => {
    await using hammer = new Hammer({ a, b });
    await hammer.hits('a');
    const order = { service: 'web', to: 'west', mode: 'planned', by: 'anna' };
    const { handle, result } = await tenant.start<FailoverResult>('failover', order, `failover/web/${name}`);
    const approving = approveAll(handle, 'ben', result);
    await survive(tenant, deaths, result);
    const { zeroLoss, promotion, rejoined, others, epoch } = await result;
    await approving;
    await hammer.hits('b');
    assert.ok(zeroLoss?.ok && rejoined?.ok, JSON.stringify(rejoined));
    // One promotion: a second would have made another timeline.
    assert.deepEqual([promotion.oldTimeline, promotion.timeline], [1, 2]);
    assert.deepEqual(hammer.turns(), ['a', 'b']);
    assert.deepEqual(others?.map(({ ok }) => ok), c && [true]); // prettier-ignore
    const there = await hammeredIn(b);
    assert.deepEqual(hammer.of('a').filter((id) => !there.has(id)), []); // prettier-ignore
    assert.deepEqual([await isStandby(a), await isStandby(b)], [true, false]);
    const [old, all] = [a, b].map((server) => JSON.stringify({ [addressIn(server)]: 100 }));
    assert.deepEqual(await lb.log(), [`${epoch * 2} ${old} {}`, `${epoch * 2} {} ${all}`]);
  });
}

/** Cancelled when the old primary is down: it serves again, on its timeline, and the candidate follows. */
export function duringTakenBack(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const name = nameOf(activity, 'back');
  return withScene(stage, name, async ({ a, b, tenant, lb }) => {
    await using hammer = new Hammer({ a, b });
    await hammer.hits('a');
    const order = { service: 'web', to: 'west', mode: 'planned', by: 'anna' };
    const { handle, result } = await tenant.start('failover', order, `failover/web/${name}`);
    const approving = approveAll(handle, 'ben', result);
    const [first, ...others] = deaths;
    assert.ok(first);
    const holder = await tenant.startWorker({ holds: 'demoteNode', dies: first });
    const { signal } = new AbortController();
    await waitFor({ file: holder.logFile, text: HELD, ended: holder.exited, signal });
    assert.equal(await runningServer(a.dataDir), undefined);
    await handle.cancel();
    await killedBy(holder, first, result);
    await survive(tenant, others, result);
    await assert.rejects(result, { name: 'WorkflowFailedError', message: 'Workflow execution cancelled' });
    await approving;
    await hammer.hits('a');
    assert.deepEqual([await isStandby(a), await isStandby(b)], [false, true]);
    assert.deepEqual(hammer.turns(), ['a']);
    const [mark] = hammer.of('a').slice(-1);
    await until('the candidate follows', async () => (await hammeredIn(b)).has(mark ?? '') || undefined);
    assert.deepEqual((await lb.state()).traffic, { [addressIn(a)]: 100 });
  });
}

/** The primary is killed; promoted once by who agrees to the loss, or left as it was by who refuses. */
export function duringUnplanned(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const name = nameOf(activity, 'gone');
  const isRefused = deaths.some((death) => death.activity === 'thawNode');
  return withScene(stage, name, async ({ a, b, tenant, lb }) => {
    const pid = await runningServer(a.dataDir);
    process.kill(pid ?? 0, 'SIGKILL');
    await until('it is gone', async () => ((await runningServer(a.dataDir)) === undefined ? true : undefined));
    const order = { service: 'web', to: 'west', mode: 'unplanned', by: 'anna', breakGlass: 'it burns' };
    const { handle, result } = await tenant.start<FailoverResult>('failover', order, `failover/web/${name}`);
    const deciding = isRefused ? refuseOnce(handle) : approveAll(handle, 'ben', result);
    await survive(tenant, deaths, result);
    if (isRefused) await assert.rejects(result);
    else assert.deepEqual([(await result).promotion.timeline, (await result).fence?.[0]?.outcome], [2, 'confirmed']);
    await deciding;
    assert.equal(await isStandby(b), isRefused);
    assert.equal(existsSync(join(a.dataDir, 'standby.signal')), !isRefused);
    assert.equal(existsSync(join(b.dataDir, 'lifeboat.frozen')), false);
    const [row] = await b.sql(`select current_setting('primary_conninfo') <> '' as follows`);
    assert.equal(row?.['follows'], isRefused);
    assert.deepEqual((await lb.state()).traffic, { [addressIn(isRefused ? a : b)]: 100 });
  });
}

/** Refuses what a run shows as soon as it does, through the death of every worker. */
async function refuseOnce(handle: WorkflowHandle): Promise<void> {
  const message = { by: 'ben', reason: 'it comes back' };
  await until('it is refused', async () => {
    try {
      const { approval } = await handle.query(progressQuery);
      if (!approval) return undefined;
      await handle.executeUpdate(refuseUpdate, { args: [message] });
      return true;
    } catch {
      // No worker now.
      return undefined;
    }
  });
}

/** Whoever died, samples and heartbeats go on, and what is asked is answered. */
export function duringWatch(...[stage, activity, deaths]: Parameters<Tell>): Promise<void> {
  const name = nameOf(activity, 'watch');
  return withScene(stage, name, async ({ a, tenant }) => {
    const watch = await tenant.start('watch', { service: 'web' }, `watch/web/${name}`);
    const isLate = (death: Death): boolean => death.activity === 'readStanding';
    for (const death of deaths.filter((each) => !isLate(each)))
      await killedBy(await tenant.startWorker({ dies: death }), death, watch.result);
    const ready = await tenant.start<Readiness>('ready', { service: 'web' }, `ready/web/${name}`);
    await survive(tenant, deaths.filter(isLate), ready.result);
    assert.equal((await ready.result).from, 'db-a');
    const beats = async (): Promise<string[]> => {
      const rows = await a
        .sql(`select writer || ' ' || at as beat from lifeboat.heartbeat order by writer`)
        .catch(() => []);
      return rows.map(({ beat }) => String(beat));
    };
    const writers = [name, 'sampler'].toSorted();
    const before = await until('both beat', async () => {
      const now = await beats();
      return now.length === writers.length ? now : undefined;
    });
    await until(
      'both beat again',
      async () => (await beats()).every((beat, index) => beat !== before[index]) || undefined,
    );
    assert.deepEqual(before.map((beat) => beat.split(' ')[0]), writers); // prettier-ignore
    const again = await tenant.start<Readiness>('ready', { service: 'web' }, `ready/web/${name}/again`);
    assert.notEqual((await again.result).checks.find((check) => check.name === 'samples')?.found, 'none');
    await watch.handle.cancel();
    await assert.rejects(watch.result, { message: 'Workflow execution cancelled' });
  });
}

/** Where a run dies, in the order in which it gets there. */
export const FAILOVER_DEATHS: readonly { tell: Tell; deaths: readonly Death[] }[] = [
  {
    tell: duringFailover,
    deaths: [
      { activity: 'describeCluster', side: 'after' },
      { activity: 'weighFacts', side: 'after' },
      { activity: 'checkpointNode', side: 'after' },
      { activity: 'promoteNode', side: 'before' },
    ],
  },
  {
    tell: duringFailover,
    deaths: [
      { activity: 'observeNode', side: 'after' },
      { activity: 'writeMarker', side: 'after' },
      { activity: 'quiesceNode', side: 'after' },
      { activity: 'promoteNode', side: 'after' },
    ],
  },
  {
    tell: duringFailover,
    deaths: [
      { activity: 'awaitFollowing', side: 'after' },
      { activity: 'demoteNode', side: 'after' },
      { activity: 'awaitReceived', side: 'after' },
      { activity: 'repointNode', side: 'after' },
      { activity: 'startNode', side: 'after' },
    ],
  },
  {
    tell: duringTakenBack,
    deaths: [
      { activity: 'reinstateNode', side: 'before' },
      { activity: 'reinstateNode', side: 'after' },
      { activity: 'unquiesceNode', side: 'after' },
    ],
  },
  {
    tell: duringUnplanned,
    deaths: [
      { activity: 'freezeNode', side: 'after' },
      { activity: 'fenceNode', side: 'after' },
      { activity: 'readSample', side: 'after' },
      { activity: 'promoteNode', side: 'after' },
    ],
  },
  { tell: duringUnplanned, deaths: [{ activity: 'thawNode', side: 'after' }] },
  {
    tell: duringWatch,
    deaths: [
      { activity: 'samplePrimary', side: 'published' },
      { activity: 'observeCluster', side: 'after' },
      { activity: 'readStanding', side: 'after' },
    ],
  },
];
