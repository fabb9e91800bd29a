import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CancelledFailure } from '@temporalio/client';
import { readinessQuery, refreshSignal } from '../../workflows/messages.ts';
import type { ClusterFacts, NodeState, WatchFacts } from '../../workflows/model/cluster.ts';
import { failure } from '../../workflows/model/failure.ts';
import type { OutageRules } from '../../workflows/model/outage-watch.ts';
import type { Readiness } from '../../workflows/model/readiness.ts';
import { Eyes } from '../support/eyes.ts';
import { clusterOf, primaryState, WATCH } from '../support/failover-answers.ts';
import { endedWith } from '../support/failover-story.ts';
import { until } from '../support/system-until.ts';
import { factsOf, serviceOf, untilCancelled } from '../support/workflow-answers.ts';
import type { Script, StartOptions, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { withWorkflows } from '../support/workflow-env.ts';

/** At once what takes half a minute elsewhere, and never what takes an hour. */
const NOW = { process: 1, host: 1, frozen: 3_600_000, site: 3_600_000, cut: 3_600_000 };

const DEAD = { reached: 'refused', running: false, role: undefined, written: undefined } as never;
const FROZEN = { reached: 'hangs', role: undefined, written: undefined } as never;
const DEAF = { hears: false };

interface WatchUse {
  rules?: Partial<OutageRules>;
  watch?: Partial<WatchFacts>;
  cluster?: Partial<ClusterFacts>;
  script?: Script;
  options?: StartOptions;
}

interface Watched {
  run: TestRun;
  eyes: Eyes;
}

function factsFor(service: string, { rules, watch, cluster }: WatchUse): ClusterFacts {
  const all = { ...WATCH, rules: { ...WATCH.rules, afterMs: NOW, ...rules }, ...watch };
  return clusterOf(service, { watch: all, fence: [{ by: 'lease', afterMs: 1 }], ...cluster });
}

async function watching(world: WorkflowWorld, use: WatchUse = {}): Promise<Watched> {
  const eyes = new Eyes();
  const script: Script = {
    describeCluster: ({ service }) => factsFor(service, use),
    describeService: ({ source }) =>
      serviceOf(source, { traffic: [{ name: 'pool', kind: 'command', weighted: true }] }),
    observeCluster: eyes.observeCluster,
    ...use.script,
  };
  const run = await world.start('watch', {
    ...{ isInRealTime: true, order: (service) => ({ service }), script },
    ...use.options,
  });
  run.handle.result().catch(() => undefined);
  return { run, eyes };
}

/** It has begun to wait until both primaries are looked at again: it has judged what it saw. */
async function timersOf(run: TestRun): Promise<boolean> {
  const { events } = await run.handle.fetchHistory();
  return (events ?? []).some(
    ({ timerStartedEventAttributes: timer }) => timer?.startToFireTimeout?.seconds?.toString() === '15',
  );
}

const titles = (run: TestRun): string[] => run.of('notify').map(({ severity, title }) => `${severity}: ${title.replace(/source-\d+/, 'web')}`); // prettier-ignore

/** The newest message to people that fits. */
function hears(run: TestRun, title: RegExp): Promise<string> {
  return until(
    `somebody is told ${String(title)}`,
    () => run.of('notify').find((each) => title.test(`${each.severity}: ${each.title}`))?.body,
  );
}

function doing(run: TestRun, step: RegExp): Promise<true> {
  return until(`it says ${String(step)}`, async () => (step.test((await run.progress()).step) ? true : undefined));
}

async function cancelled(run: TestRun): Promise<void> {
  await run.handle.cancel();
  await assert.rejects(run.handle.result(), (error: Error) => error.cause instanceof CancelledFailure);
  assert.equal((await run.progress()).outcome, 'cancelled');
}

async function isStarted(world: WorkflowWorld, { source }: TestRun): Promise<boolean> {
  const found = await world.client.workflow.getHandle(`failover/${source}`).describe().catch(() => undefined); // prettier-ignore
  return found !== undefined;
}

const TOGETHER = 5;

test('watch', { concurrency: TOGETHER, timeout: 240_000 }, async (t) => {
  // A run of this size would take days to continue as new by itself.
  await withWorkflows({ settings: ['limit.historyCount.suggestContinueAsNew=120'] }, async (world) => {
    const told: Promise<void>[] = [];
    const tell = (name: string, work: () => Promise<void>): void => void told.push(t.test(name, work));

    tell('all is well: nobody is told, and a cancellation ends all of it', async () => {
      const { run } = await watching(world);
      await until('both work', () => run.of('samplePrimary').length > 0 && run.of('observeCluster').length > 1 ? true : undefined); // prettier-ignore
      assert.match((await run.progress()).step, /^watch db-a, db-b$/);
      await cancelled(run);
      assert.deepEqual([titles(run), await isStarted(world, run)], [[], false]);
    });

    tell('dead: the command is told when nothing starts by itself, and what comes back is told', async () => {
      const { run, eyes } = await watching(world);
      eyes.see(DEAD, DEAF);
      const body = await hears(run, /critical: .*db-a runs no server/);
      assert.match(body, /not by itself: watch\.automatic is off/);
      assert.match(body, /lifeboat failover source-\d+ --to west --unplanned --since 20\d\d-/);
      assert.match((await run.progress()).attention ?? '', /db-a runs no server: lifeboat failover/);
      eyes.see({});
      await hears(run, /info: .*db-a serves/);
      assert.equal((await run.progress()).attention, undefined);
      assert.equal(await isStarted(world, run), false);
      await cancelled(run);
    });

    tell('dead, automatic: the failover is started, and that it finds the primary alive is told', async () => {
      const { run, eyes } = await watching(world, { rules: { automatic: true } });
      eyes.see(DEAD, DEAF);
      await hears(run, /critical: .*failover to west was started/);
      const started = world.client.workflow.getHandle(`failover/${run.source}`);
      await endedWith(started.result(), 'Precondition', /it lives/);
      const body = await until('its end is told', () => run.of('notify').find((each) => /not by itself: .*primary is gone/.test(each.body))?.body); // prettier-ignore
      assert.match(body, /lifeboat failover/);
      await cancelled(run);
      assert.equal(run.of('notify').filter(({ title }) => title.includes('was started')).length, 1);
    });

    tell('an observer that says nothing is no voice: nothing is started', async () => {
      const limits = { ...clusterOf('').limits, lookMs: 1000 };
      const watch = { observers: ['db1', 'gone'] };
      const rules = { automatic: true, afterMs: { ...NOW, cut: 1 } };
      const { run, eyes } = await watching(world, { rules, watch, cluster: { limits } });
      eyes.see(DEAD, DEAF);
      await hears(run, /critical: /);
      assert.equal(await isStarted(world, run), false);
      await cancelled(run);
    });

    tell('the standby hears it still: it is not gone', async () => {
      const { run, eyes } = await watching(world, { rules: { automatic: true } });
      eyes.see(DEAD);
      const body = await hears(run, /critical: .*runs no server/);
      assert.match(body, /a standby hears it still[^]*not all who have to agree/);
      assert.equal(await isStarted(world, run), false);
      await cancelled(run);
    });

    tell('it comes and goes: a person decides', async () => {
      const { run, eyes } = await watching(world, {
        rules: { automatic: true, flaps: { withinMs: 3_600_000, most: 1 } },
      });
      eyes.see(FROZEN, DEAF);
      await doing(run, /answers nothing/);
      eyes.see({});
      await doing(run, /db-a serves/);
      eyes.see(DEAD, DEAF);
      assert.match(await hears(run, /critical: .*runs no server/), /not by itself: it is the outage number 2/);
      assert.equal(await isStarted(world, run), false);
      await cancelled(run);
    });

    tell('the standby alone is cut off: nothing is done about the primary', async () => {
      const { run, eyes } = await watching(world, { rules: { automatic: true, afterMs: { ...NOW, cut: 1 } } });
      eyes.see({}, DEAF);
      const body = await hears(run, /critical: .*db-a serves, and its standby does not hear it/);
      assert.match(body, /nothing at db-a: see the standby/);
      assert.equal(await isStarted(world, run), false);
      await cancelled(run);
    });

    tell('two primaries are told at once', async () => {
      const { run, eyes } = await watching(world);
      eyes.see({}, { role: 'primary', timeline: 2 });
      await hears(run, /critical: .*two primaries: db-a and db-b take writes/);
      assert.match((await run.progress()).attention ?? '', /two primaries/);
      await cancelled(run);
    });

    const both = (old: Partial<NodeState>, young: Partial<NodeState>): NonNullable<Script['observeNode']> =>
      ({ node }) => primaryState(node, { timeline: 2, epoch: 4, ...young, ...(node === 'db-a' ? { timeline: 1, epoch: 3, ...old } : {}) }); // prettier-ignore

    tell('of two primaries, the one that a failover has left is ended, by the number of that failover', async () => {
      const script: Script = { observeNode: both({}, {}), quarantineNode: () => ({ ran: true }) };
      const { run, eyes } = await watching(world, { script });
      eyes.see({}, { role: 'primary', timeline: 2 });
      const body = await hears(run, /warning: .*db-a came back as a primary, and was ended/);
      assert.match(body, /db-a is on timeline 1 with epoch 3, db-b is on timeline 2 with epoch 4/);
      assert.match(body, /lifeboat rejoin source-\d+ db-a --dry-run/);
      const calls = run.of('quarantineNode').map(({ node, epoch }) => [node, epoch]);
      assert.deepEqual(calls, [['db-a', 4]]);
      await cancelled(run);
    });

    const undecided: [string, Partial<NodeState>, Partial<NodeState>][] = [
      ['a standby that somebody promoted: it has no number of its own', { epoch: 4, timeline: 2 }, { timeline: 1 }],
      ['an old primary that somebody promoted again', { timeline: 3 }, {}],
      ['clusters that are not one', { systemId: '2' }, { systemId: '1' }],
      ['a primary that its own worker does not see', {}, { running: undefined } as never],
      ['one that does not answer its own worker', { answers: false }, {}],
    ];
    for (const [name, old, young] of undecided)
      tell(`two primaries, and nobody is ended: ${name}`, async () => {
        const script: Script = { observeNode: both(old, young), quarantineNode: () => ({ ran: true }) };
        const { run, eyes } = await watching(world, { script });
        eyes.see({}, { role: 'primary', timeline: 2 });
        await hears(run, /critical: .*two primaries/);
        const looks = (): number => run.of('observeNode').filter(({ remote, peers }) => !remote && !peers).length;
        await until('both were looked at', () => (looks() === 2 ? true : undefined));
        await until('it waits to look again', async () => ((await timersOf(run)) ? true : undefined));
        assert.deepEqual(run.of('quarantineNode'), []);
        await cancelled(run);
      });

    tell('a plan that has changed starts nothing by itself, and is taken up', async () => {
      let reads = 0;
      const facts = (service: string): ClusterFacts => factsFor(service, { rules: { automatic: true } });
      const describeCluster: Script['describeCluster'] = ({ service }) => ({
        ...facts(service),
        planHash: ++reads > 1 ? 'new' : 'old',
      });
      const { run, eyes } = await watching(world, { script: { describeCluster } });
      eyes.see(DEAD, DEAF);
      assert.match(await hears(run, /critical: /), /the configuration has changed meanwhile/);
      await until('a new run', () => (reads > 2 ? true : undefined));
      assert.equal(await isStarted(world, run), false);
      await cancelled(run);
    });

    tell('continued as new: what was told and found is known', async () => {
      const { run, eyes } = await watching(world);
      const first = (await run.handle.describe()).runId;
      eyes.see(DEAD, DEAF);
      await hears(run, /critical: /);
      await run.handle.signal(refreshSignal);
      const second = await until('a new run', async () => {
        const { runId } = await run.handle.describe();
        return runId === first ? undefined : runId;
      });
      eyes.see({});
      await hears(run, /info: .*db-a serves/);
      assert.equal(titles(run).filter((each) => each.startsWith('critical')).length, 1);
      // Enough to and fro makes it long.
      for (let time = 0; (await run.handle.describe()).runId === second; time++) {
        const calls = run.of('observeCluster').length;
        if (time % 2 === 0) eyes.see(FROZEN, DEAF);
        else eyes.see({});
        await until('it was seen', () => (run.of('observeCluster').length > calls ? true : undefined));
      }
      await cancelled(run);
    });

    tell('readiness is told when it changes, and can be asked for', async () => {
      let isDrilled = false;
      const { run } = await watching(world, {
        watch: { ready: { ...WATCH.ready, everyMs: 50 } },
        script: {
          readStanding: () => ({ sampleAgeMs: 1, failoverDrillAgeMs: 1, ...(isDrilled ? { drillAgeMs: 1 } : {}) }),
          describeSource: ({ source }) => factsOf(source, { notifiers: [{ name: 'mail', tells: { P3: 0 } }] }),
        },
      });
      const body = await hears(run, /warning: .*is not ready to be failed over/);
      assert.match(body, /^last drill: none, expected .*\(lifeboat drill source-\d+\)$/);
      const found = await run.handle.query<Readiness | null>(readinessQuery.name);
      assert.deepEqual([found?.ok, found?.from, found?.to], [false, 'db-a', 'db-b']);
      isDrilled = true;
      assert.equal(await hears(run, /warning: .*is ready to be failed over again/), 'Every check holds.');
      const told = run.of('notify').map(({ to, state, group }) => `${to} ${state}: ${group}`);
      assert.deepEqual(
        told,
        ['open', 'over'].map((state) => `mail ${state}: watch/${run.source} readiness`),
      );
      assert.equal((await run.progress()).attention, undefined);
      await cancelled(run);
    });

    tell('told in threads: each ends its own, and only who has heard the beginning', async () => {
      const notifiers = [
        { name: 'pager', tells: { P1: 0 } },
        { name: 'mail', tells: { P4: 0 } },
      ];
      const script: Script = {
        describeSource: ({ source }) => factsOf(source, { notifiers, escalation: [{ to: 'boss', afterMs: 1 }] }),
        notify: ({ to = '' }) => ({ told: [to], failed: [], thread: `thread of ${to}` }),
      };
      const { run, eyes } = await watching(world, { script });
      const told = (about: string): string[] => run.of('notify').flatMap(({ to, state, group, thread }) => (group === `watch/${run.source} ${about}` ? `${to} ${state} ${thread ?? ''}`.trim() : [])); // prettier-ignore
      const both = ['boss over thread of boss', 'pager over thread of pager'];
      for (const [about, seen, deaf] of [
        ['outage', DEAD, DEAF],
        ['two primaries', {}, { role: 'primary', timeline: 2 }],
      ] as const) {
        // prettier-ignore
        eyes.see(seen, deaf);
        await until(`${about}: the boss is called`, () => (told(about).length === 2 ? true : undefined));
        eyes.see({});
        await until(`${about}: it is over`, () => (told(about).length === 4 ? true : undefined));
        assert.deepEqual(told(about).slice(0, 2), ['pager open', 'boss open']);
        assert.deepEqual(told(about).slice(2).toSorted(), both);
      }
      await cancelled(run);
      assert.equal(run.of('notify').length, 8);
    });

    tell('samples that are not taken are told after a minute, and once', async () => {
      const script: Script = {
        samplePrimary: () => {
          if (run.of('samplePrimary').length > 12) return untilCancelled();
          throw failure('Unavailable', 'no primary answers');
        },
      };
      const gate = Promise.withResolvers<void>();
      // Nobody looks, so that its time may leap.
      const { run } = await watching(world, {
        ...{ watch: { observers: [], ready: { ...WATCH.ready, everyMs: 10 ** 10 } } },
        ...{ script, options: { isInRealTime: false, before: () => gate.promise } },
      });
      gate.resolve();
      assert.equal(await hears(run, /warning: .*nobody writes down/), 'no primary answers');
      await until('it works', () => (run.of('samplePrimary').length > 12 ? true : undefined));
      assert.deepEqual(titles(run), ['warning: service web: nobody writes down where its primary is']);
      await cancelled(run);
    });

    tell('a service that nobody knows ends it at once', async () => {
      const describeCluster = (): never => {
        throw failure('NotFound', 'service web has no cluster to fail over');
      };
      const { run } = await watching(world, { script: { describeCluster } });
      await endedWith(run.handle.result(), 'NotFound', /no cluster/);
    });

    await Promise.all(told);
  });
});
