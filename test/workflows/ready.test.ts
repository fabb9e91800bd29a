import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../workflows/model/failure.ts';
import type { Readiness } from '../../workflows/model/readiness.ts';
import { clusterOf, goneState, standbyState } from '../support/failover-answers.ts';
import { endedWith } from '../support/failover-story.ts';
import { serviceOf } from '../support/workflow-answers.ts';
import type { Script, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

const WELL: Script = {
  describeCluster: ({ service }) => clusterOf(service, { fence: [{ by: 'lease', afterMs: 1 }] }),
  describeService: ({ source }) => serviceOf(source, { traffic: [{ name: 'pool', kind: 'command', weighted: true }] }),
};

async function readied(world: WorkflowWorld, script: Script = {}, order: object = {}): Promise<Readiness> {
  const run = await world.start('ready', {
    ...{ isInRealTime: true, order: (service: string) => ({ service, ...order }) },
    script: { ...WELL, ...script },
  });
  return (await run.handle.result()) as Readiness;
}

const bad = ({ checks }: Readiness): string[] => checks.filter(({ ok }) => !ok).map(({ name }) => name);

test('ready', { timeout: 120_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('all holds', async () => {
      const readiness = await readied(world);
      assert.deepEqual([readiness.ok, readiness.from, readiness.to, bad(readiness)], [true, 'db-a', 'db-b', []]);
      assert.equal(readiness.planHash, clusterOf('').planHash);
    });

    await t.test('to a site that is named, and to one that is not there', async () => {
      assert.equal((await readied(world, {}, { to: 'west' })).to, 'db-b');
      await endedWith(readied(world, {}, { to: 'wset' }), 'NotFound', /did you mean west/);
    });

    await t.test('a primary that is gone, a vault and a switch that do not answer: each is a check', async () => {
      const away = (): never => {
        throw failure('Denied', 'no right');
      };
      const gone = await readied(world, {
        observeNode: ({ node }) => (node === 'db-a' ? goneState(node) : standbyState(node)),
      });
      assert.deepEqual(bad(gone), ['exactly one primary']);
      assert.deepEqual([gone.from, gone.to], [undefined, 'db-b']);
      const silent = await readied(world, { readStanding: away, locateTraffic: away });
      assert.deepEqual(bad(silent), ['switch pool', 'samples', 'last drill', 'last failover drill']);
      assert.match(silent.checks.find(({ name }) => name === 'switch pool')?.found ?? '', /no right/);
    });

    await t.test('a worker that lacks a right is heard', async () => {
      const observeNode = (): never => {
        throw failure('Denied', 'permission denied for pg_control_system');
      };
      const { ok, checks } = await readied(world, { observeNode });
      assert.equal(ok, false);
      assert.match(checks[0]?.found ?? '', /permission denied/);
    });

    await t.test('an order with a key that nobody knows', async () => {
      await endedWith(readied(world, {}, { too: 'west' }), 'ConfigInvalid', /did you mean "to"/);
    });
  });
});
