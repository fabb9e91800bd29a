import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { clonedNode } from '../../workflows/model/cluster.ts';
import type { FailoverDrillResult } from '../../workflows/model/failover-drill.ts';
import { failure } from '../../workflows/model/failure.ts';
import { cloned, drillAnswers, GONE, NAMESPACE, STARTED } from '../support/drill-answers.ts';
import { clusterOf, goneState, primaryState, standbyState } from '../support/failover-answers.ts';
import { DESCRIBED, doneIn, endedWith, LOOKED } from '../support/failover-story.ts';
import { HOME, untilCancelled } from '../support/workflow-answers.ts';
import type { ActivityName, Script, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

interface Story {
  run: TestRun;
  result: Promise<FailoverDrillResult>;
}

async function drilling(world: WorkflowWorld, script: Script = {}, more: Partial<StartOptions> = {}): Promise<Story> {
  const locateTraffic: Script['locateTraffic'] = () => ({ traffic: HOME, token: 0 });
  const run = await world.start('failoverDrill', {
    ...{ isInRealTime: true, order: (service: string) => ({ service }) },
    script: { locateTraffic, ...cloned(), ...script },
    ...more,
  });
  const result = run.handle.result() as Promise<FailoverDrillResult>;
  result.catch(() => undefined);
  return { run, result };
}

const broken = (): never => {
  throw failure('Precondition', 'the test breaks it', { hint: 'nothing' });
};

/** Every step that there is a clone at. */
const STEPS: readonly ActivityName[] = ['makeClone', 'startClone', 'promoteNode', 'writeMarker', 'checkpointNode', 'checkClone']; // prettier-ignore
const BEGIN: readonly ActivityName[] = [...DESCRIBED, ...LOOKED, 'locateTraffic', 'locateTraffic'];

/** What must not be called: nothing of production is moved, and no number is taken. */
const NEVER: readonly ActivityName[] = ['moveTraffic', 'takeEpoch', 'startNode', 'freezeNode', 'quiesceNode'];

function assertOnlyClone(run: TestRun): void {
  assert.deepEqual(run.names().filter((name) => NEVER.includes(name)), []); // prettier-ignore
  const touched = (['promoteNode', 'writeMarker', 'checkpointNode'] as const).flatMap((name) => run.of(name));
  for (const { node } of touched) assert.equal(clonedNode(node), 'db-b');
}

test('failover drill', { concurrency: 6, timeout: 240_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

    tell('looked at, copied, cut off, promoted, written to, checked, removed, looked at again', async () => {
      const { run, result } = await drilling(world);
      const { from, to, promotion, isolation, checks, switches, objectives, report, phases } = await result;
      assert.deepEqual(doneIn(run), [
        ...[...BEGIN, 'makeClone', 'startClone', 'promoteNode', 'writeMarker', 'observeNode', 'checkpointNode'],
        ...['checkClone', 'removeClone', ...LOOKED, 'writeReport'],
      ]);
      assertOnlyClone(run);
      const [promoted] = run.of('promoteNode');
      assert.deepEqual([promoted?.followers, promoted?.epoch, promoted?.lsn], [['db-a'], 1, STARTED.lsn]);
      assert.equal(run.of('removeClone')[0]?.namespace, NAMESPACE);
      assert.deepEqual([from, to, promotion.node, isolation.by], ['db-a', 'db-b', 'db-b/drill', 'namespace']);
      assert.ok(checks.every(({ ok }) => ok) && report);
      assert.deepEqual(switches, ['pool', 'dns'].map((name) => ({ name, from: HOME, to: { 'db-b.example:5432': 100 } }))); // prettier-ignore
      assert.deepEqual(objectives, [{ name: 'rto', objectiveMs: 300_000, measuredMs: phases.ready, ok: true }]);
      const [written] = run.of('writeReport');
      assert.deepEqual([written?.kind, written?.outcome], ['failover-drill', 'proven']);
      assert.deepEqual([written?.failoverDrill?.node, written?.failoverDrill?.phases], ['db-b', phases]);
      assert.deepEqual(run.of('notify'), []);
    });

    for (const step of STEPS) {
      tell(`${step} fails: the clone is removed, and that is told`, async () => {
        const { run, result } = await drilling(world, { [step]: broken });
        await endedWith(result, 'Precondition', /the test breaks it/);
        assert.deepEqual(doneIn(run).slice(-3), [step, 'removeClone', 'writeReport']);
        assert.equal(run.of('writeReport')[0]?.failoverDrill, undefined);
        assert.match(run.of('notify')[0]?.title ?? '', /^failover drill of source-\d+ failed$/);
        assertOnlyClone(run);
      });

      tell(`cancelled at ${step}: the clone is removed`, async () => {
        const reached = Promise.withResolvers<void>();
        const before: StartOptions['before'] = async (_, name) => {
          if (name !== step) return;
          reached.resolve();
          await untilCancelled();
        };
        const { run, result } = await drilling(world, {}, { before });
        await reached.promise;
        await run.handle.cancel();
        await assert.rejects(result, { message: 'Workflow execution cancelled' });
        assert.deepEqual(doneIn(run).slice(-2), [step, 'removeClone']);
        assertOnlyClone(run);
      });
    }

    tell('a clone that reaches production is not promoted', async () => {
      const open = { name: 'cannot reach db-a', ok: false, expected: 'no answer', found: 'the clone: exit 0' };
      const startClone = (): unknown => ({ ...STARTED, isolation: { by: 'settings', checks: [open] } });
      const { run, result } = await drilling(world, { startClone });
      await endedWith(result, 'Integrity', /is not isolated: cannot reach db-a: the clone: exit 0/);
      assert.deepEqual(doneIn(run).slice(-3), ['startClone', 'removeClone', 'writeReport']);
    });

    const failing: [name: string, script: Script, found: RegExp][] = [
      ['a check', { checkClone: () => [{ name: 'smoke', ok: false, expected: 'exit 0', found: 'exit 1' }] }, /smoke: exit 1/],
      ['what was written is not there', cloned(7), /written and read: a primary with 7/],
      ['a timeline that begins before', { promoteNode: (given) => ({ ...given, oldTimeline: 1, timeline: 2, forkLsn: '0/1', at: '' }) }, /new timeline: timeline 2 from 0\/1/],
      ['a primary that has another timeline behind it', { observeNode: otherTimeline() }, /db-a is as it was: primary on timeline 3/],
      ['a clone that is left', { removeClone: () => ({ checks: [{ ...GONE.checks[0], ok: false, found: '/srv/b.drill' }] }) }, /files and sockets of the clone: \/srv\/b\.drill/],
    ]; // prettier-ignore
    for (const [name, script, found] of failing) {
      tell(`${name}: the drill has not passed, and leaves no measurement`, async () => {
        const { run, result } = await drilling(world, script);
        await endedWith(result, 'Integrity', found);
        assert.ok(run.names().includes('removeClone'));
        assert.equal(run.of('writeReport')[0]?.outcome, 'failed');
        assert.equal(run.of('writeReport')[0]?.failoverDrill, undefined);
        assert.ok(run.of('notify').some(({ title }) => /failover drill of .* (failed|left its clone)/.test(title)));
      });
    }

    tell('longer than the RTO: it has passed, and people are told', async () => {
      const checkClone: Script['checkClone'] = async (given) => {
        await sleep(20);
        return drillAnswers.checkClone(given);
      };
      const describeCluster: Script['describeCluster'] = ({ service }) =>
        clusterOf(service, { objectives: { rtoMs: 1 } });
      const { run, result } = await drilling(world, { checkClone, describeCluster });
      assert.deepEqual((await result).objectives.map(({ ok }) => ok), [false]); // prettier-ignore
      assert.match(run.of('notify')[0]?.title ?? '', /takes longer than its RTO/);
    });

    tell('during an outage, or to the primary, nothing is made', async () => {
      const observeNode: Script['observeNode'] = ({ node }) => (node === 'db-a' ? goneState(node) : standbyState(node));
      const gone = await drilling(world, { observeNode });
      await endedWith(gone.result, 'Precondition', /no standby to drill on/);
      const primary = await drilling(world, {}, { order: (service) => ({ service, to: 'east' }) });
      await endedWith(primary.result, 'Precondition', /no standby to drill on/);
      const nobody = await drilling(world, {}, { order: (service) => ({ service, to: 'wset' }) });
      await endedWith(nobody.result, 'NotFound', /has no site wset/);
      for (const { run } of [gone, primary, nobody])
        assert.ok(!run.names().includes('makeClone') && !run.names().includes('writeReport'));
    });

    await Promise.all(told);
  });
});

/** From the third look at it on. */
function otherTimeline(): NonNullable<Script['observeNode']> {
  let looks = 0;
  return ({ node }) => {
    if (clonedNode(node) !== undefined) return primaryState(node, { timeline: 2, epoch: 1 });
    if (node !== 'db-a') return standbyState(node);
    return primaryState(node, ++looks > 1 ? { timeline: 3 } : {});
  };
}
