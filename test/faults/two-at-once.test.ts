import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { FAILURE_TYPES, findFailure } from '../../workflows/model/failure.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { workflowId } from '../../workflows/model/names.ts';
import type { RestoreResult } from '../../workflows/model/recovery.ts';
import type { VerifyResult } from '../../workflows/model/results.ts';
import { realTimeHost, say } from '../support/cli-world.ts';
import { inStep, withSystem } from '../support/system.ts';
import { assertHolds, assertRestorable, assertTidy, backUp } from '../support/system-survival.ts';
import { shippedTo } from '../support/system-vault.ts';

const SLOW = { partSize: '1MiB', maxRate: '4MiB' };

test('the same backup asked for twice is one run; another one beside it is as good', () =>
  withSystem(async (system) => {
    const tenant = await system.tenant({ name: 'twice', source: 'shop', more: { backup: SLOW }, productQueue: true });
    await Promise.all([tenant.startProductWorker('one'), tenant.startProductWorker('two')]);
    const words = ['backup', 'shop', '--json', '--config', tenant.config];
    const byHand = tenant.start<PointSummary>('backup', { source: 'shop' }, 'by-hand');
    const [first, second] = await Promise.all([say(words, realTimeHost()), say(words, realTimeHost())]);
    assert.deepEqual([first.code, second.code], [0, 0], first.err + second.err);
    const points = [first, second].map(({ json }) => JSON.stringify(json).match(/\d{8}T\d{6}Z-[0-9a-f]{8}-\d+/)?.[0]);
    assert.ok(points[0] !== undefined);
    assert.equal(points[0], points[1]);
    const other = await (await byHand).result;
    assert.notEqual(other.point, points[0]);
    for (const point of [points[0], other.point]) {
      const id = workflowId.verify('shop', point);
      const { result } = await tenant.start<VerifyResult>('verify', { source: 'shop', point }, id);
      assert.ok((await result).checks.every(({ ok }) => ok));
    }
    await assertTidy(tenant);
    await assertRestorable(tenant);
  }));

test('a backup is taken while the source is restored, and one directory takes one restore', () =>
  withSystem(async (system) => {
    const { orders, server, vault } = system;
    const tenant = await system.tenant({ name: 'both', source: 'shop', productQueue: true });
    await tenant.startProductWorker();
    await backUp(tenant);
    const mark = await orders.mark(server);
    await shippedTo(vault, 'shop', mark.lsn);
    const into = join(tenant.scratch, 'one-place');
    const order = { source: 'shop', into };
    const restores = await Promise.all(
      ['one', 'two'].map((name) =>
        tenant.start<RestoreResult>('restore', order, `${workflowId.restore('shop')}/${name}`),
      ),
    );
    const backup = backUp(tenant);
    const outcomes = await Promise.allSettled(restores.map(({ result }) => result));
    const good = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const bad = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    assert.equal(good.length, 1, String(bad));
    assert.equal(findFailure(bad[0])?.type, 'Precondition', String(bad[0]));
    assert.ok(good[0]);
    await assertHolds(tenant, good[0], mark);
    assert.equal((await backup).kind, 'full');

    const words = ['restore', 'shop', '--json', '--config', tenant.config];
    const both = Promise.all([say(words, realTimeHost()), say(words, realTimeHost())]);
    await inStep({ handle: system.client.workflow.getHandle(workflowId.restore('shop')) }, ['fetchBase', 'replayWal']);
    const other = await say([...words, '--to-immediate'], realTimeHost());
    assert.equal(other.code, FAILURE_TYPES.Busy.exitCode, other.err);
    const runs = (await both).map(({ code, json, err }) => {
      assert.equal(code, 0, err);
      return (json as unknown as { result: RestoreResult }).result;
    });
    assert.deepEqual(runs[0], runs[1]);
    assert.ok(runs[0]);
    await assertHolds(tenant, runs[0], mark);
    await assertTidy(tenant);
  }));
