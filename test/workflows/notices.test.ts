import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ackUpdate, overSignal } from '../../workflows/messages.ts';
import { failure, findFailure } from '../../workflows/model/failure.ts';
import type { EscalationStep, NotifierFacts } from '../../workflows/model/notice.ts';
import type { PointSummary } from '../../workflows/model/manifest.ts';
import { approve, pendingOf, Switchboard } from '../support/switchboard.ts';
import { answers, factsOf, pointOf } from '../support/workflow-answers.ts';
import { sampleResult } from '../support/sample-report.ts';
import type { Script, TestRun, WorkflowWorld } from '../support/workflow-env.ts';
import { skipTime, withWorkflows } from '../support/workflow-env.ts';

const [MINUTE, HOUR] = [60_000, 3_600_000];

/** As the runbooks have it. */
const NOTIFIERS: NotifierFacts[] = [
  { name: 'pager', tells: { P1: 0 } },
  { name: 'chat', tells: { P1: 0, P2: 15 * MINUTE } },
  { name: 'mail', tells: { P1: 0, P2: 15 * MINUTE, P3: HOUR, P4: 24 * HOUR } },
];
const ESCALATION: EscalationStep[] = [
  { to: 'lead', afterMs: 15 * MINUTE },
  { to: 'boss', afterMs: 30 * MINUTE },
];

/** Answers a thread of its own to each notifier. */
const telling: Script = {
  describeSource: ({ source }) => factsOf(source, { notifiers: NOTIFIERS, escalation: ESCALATION }),
  notify: ({ to = '' }) => ({ told: [to], failed: [], thread: `thread of ${to}` }),
};

const broken = (): never => {
  throw failure('Integrity', 'disk of the test is broken');
};

/** "pager open: backup of source-1 failed", in the order in which they were told. */
function told(run: TestRun): string[] {
  return run.of('notify').map(({ to, state, title }) => `${to} ${state}: ${title}`);
}

async function toldAtLeast(run: TestRun, count: number): Promise<string[]> {
  while (told(run).length < count) await run.handle.describe();
  return told(run);
}

function left(world: WorkflowWorld, run: TestRun): TestRun['handle'] {
  return world.client.workflow.getHandle(`notices/${run.handle.workflowId}`);
}

async function isThere(handle: TestRun['handle']): Promise<boolean> {
  return handle.describe().then(
    () => true,
    () => false,
  );
}

/** How long the timers of a run were to last, seconds. */
async function timersOf(handle: TestRun['handle']): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) =>
    timer
      ? [
          Math.round(
            Number(timer.startToFireTimeout?.seconds ?? 0) + Number(timer.startToFireTimeout?.nanos ?? 0) / 1e9,
          ),
        ]
      : [],
  );
}

const VERIFY = { input: { point: 'p1' }, isInRealTime: true };

/** A verification that fails, which is a P1. */
async function verifying(world: WorkflowWorld, script: Script): Promise<TestRun> {
  const run = await world.start('verify', { ...VERIFY, script });
  await assert.rejects(run.handle.result());
  return run;
}

/** The next run of the same id. */
function again(world: WorkflowWorld, { source, handle }: TestRun): Promise<TestRun> {
  const { workflowId } = handle;
  return world.start('verify', { order: () => ({ source, point: 'p1' }), workflowId, isInRealTime: true });
}

/** A recovery that waits for approval. */
async function waiting(world: WorkflowWorld, script: Script = telling): Promise<TestRun> {
  const run = await world.start('recover', {
    input: { scenario: 'complete-loss', by: 'anna' },
    script: { ...new Switchboard().script, ...script },
    isInRealTime: true,
  });
  run.handle.result().catch(() => undefined);
  await pendingOf(run);
  return run;
}

test('notices: severities, delays, escalation, acknowledgement, ends', { timeout: 480_000 }, async (t) => {
  await withWorkflows({}, async (world) => {
    await t.test('what a run leaves open is ended by the next run of its id that ends well', async () => {
      let isBroken = true;
      const verifyPoint: Script['verifyPoint'] = (task) => (isBroken ? broken() : answers.verifyPoint(task));
      const run = await verifying(world, { ...telling, verifyPoint });
      const title = `recovery point p1 of ${run.source} failed its verification`;
      assert.deepEqual(
        told(run).toSorted(),
        ['chat', 'mail', 'pager'].map((to) => `${to} open: ${title}`),
      );
      const follow = left(world, run);
      assert.equal((await follow.describe()).status.name, 'RUNNING');
      isBroken = false;
      await (await again(world, run)).handle.result();
      await follow.result();
      assert.deepEqual(
        told(run).slice(3).toSorted(),
        ['chat', 'mail', 'pager'].map((to) => `${to} over: ${title}`),
      );
      for (const { thread, to } of run.of('notify').slice(3)) assert.equal(thread, `thread of ${to}`);
      const [group, ...others] = new Set(run.of('notify').map((each) => each.group));
      assert.deepEqual([group, others], [run.handle.workflowId, []]);
    });

    await t.test('a run that fails twice leaves one thing open', async () => {
      const run = await verifying(world, { ...telling, verifyPoint: broken });
      await assert.rejects((await again(world, run)).handle.result());
      await toldAtLeast(run, 6);
      const follow = left(world, run);
      await follow.signal(overSignal);
      await follow.result();
      assert.equal(told(run).filter((each) => each.includes(' over: ')).length, 3);
    });

    await t.test('what is over before its delay is told to nobody', async () => {
      let failures = 0;
      const script: Script = {
        ...telling,
        awaitWal: () => {
          // That it waits is a P3, an hour later.
          if (++failures < 8) throw failure('Unavailable', 'stream of the test is away');
        },
      };
      const run = await world.start('backup', { script, isStreaming: true });
      await run.handle.result();
      const { timeline } = await run.progress();
      assert.ok(timeline.some(({ what }) => /the backup waits for it/.test(what)), JSON.stringify(timeline)); // prettier-ignore
      assert.deepEqual(told(run), []);
      assert.ok(!(await isThere(left(world, run))));
    });

    await t.test(
      'RTO clock: a warning comes before the alarm, both are one thing, over when it is recovered',
      async () => {
        let run: TestRun = undefined as never;
        const script: Script = {
          ...telling,
          describeSource: ({ source }) => factsOf(source, { notifiers: NOTIFIERS, rtoMs: 400_000 }),
          replayWal: () => {
            if (run.of('notify').length < 4) throw failure('Unavailable', 'server of the test is away');
            return sampleResult().replay;
          },
        };
        run = await world.start('restore', { script });
        await run.handle.result();
        const said = run.of('notify').map(({ to, state, title }) => `${to} ${state}: ${title.replace(/^.*?: /, '')}`);
        const [first, ...alarm] = said.slice(0, 4);
        assert.equal(first, 'mail open: 75 % of the RTO of 6m40s is used');
        assert.deepEqual(alarm.toSorted(), ['chat', 'mail', 'pager'].map((to) => `${to} open: the RTO of 6m40s is missed`)); // prettier-ignore
        const ends = said.slice(4).filter((each) => / over: recovered after /.test(each));
        assert.deepEqual(ends.map((each) => each.split(' ')[0]).toSorted(), ['chat', 'mail', 'pager']);
        assert.match(run.of('notify').at(-1)?.body ?? '', /^The RTO of 6m40s is missed\.$/);
        assert.deepEqual([...new Set(run.of('notify').map(({ group }) => group))], [`restore/${run.source} rto`]);
        assert.ok(!(await isThere(left(world, run))));
      },
    );

    await t.test(
      'a P2 is told a quarter of an hour later, to those who want it, when the run is long over',
      async () => {
        const run = await world.start('backup', { script: { ...telling, takeBackup: broken } });
        await assert.rejects(run.handle.result());
        const follow = left(world, run);
        const title = `backup of ${run.source} failed`;
        const heard = await toldAtLeast(run, 2);
        assert.deepEqual(heard.toSorted(), [`chat open: ${title}`, `mail open: ${title}`]);
        await follow.signal(overSignal);
        await follow.result();
        const [first = 0] = await timersOf(follow).then((all) => all.filter((seconds) => seconds <= 900));
        assert.ok(first > 800, `${first} seconds`);
      },
    );

    await t.test('what the end of the run does not mend is told at its time, when the run is long over', async () => {
      const draft = async ({ source }: { source: string }): Promise<PointSummary> => ({
        ...pointOf(source),
        fallback: 'summarize_wal is off',
      });
      const script: Script = { ...telling, takeBackup: draft, publishPoint: draft };
      const run = await world.start('backup', { input: { type: 'incremental' }, script });
      await run.handle.result();
      const follow = left(world, run);
      const heard = await toldAtLeast(run, 1);
      await follow.signal(overSignal);
      await follow.result();
      assert.deepEqual(heard, [`mail open: backup of ${run.source} is a full one instead of incremental`]);
      const [first = 0] = (await timersOf(follow)).filter((seconds) => seconds <= 3600);
      assert.ok(first > 3000, `${first} seconds`);
    });

    await t.test('nobody acknowledges: one after the other is called, until it is decided', async () => {
      const run = await waiting(world);
      await skipTime(world.client, run.handle.workflowId);
      await assert.rejects(run.handle.result());
      const waits = told(run).filter((each) => /approval/.test(each));
      const opened = waits.filter((each) => each.includes(' open: '));
      assert.deepEqual(opened.slice(0, 3).map((each) => each.split(' ')[0]).toSorted(), ['chat', 'mail', 'pager']); // prettier-ignore
      assert.deepEqual(opened.slice(3).map((each) => each.split(': ').slice(0, 2)), [['lead open', 'not acknowledged'], ['boss open', 'not acknowledged']]); // prettier-ignore
      const ended = waits.filter((each) => each.includes(' over: ')).map((each) => each.split(' ')[0]);
      assert.deepEqual(ended.toSorted(), ['boss', 'chat', 'lead', 'mail', 'pager']);
    });

    await t.test('somebody acknowledges: recorded, told to who was told, and nobody else is called', async () => {
      const run = await waiting(world);
      await toldAtLeast(run, 3);
      const say = (by: string): Promise<unknown> => run.handle.executeUpdate(ackUpdate, { args: [{ by }] });
      const unheard = (said: Promise<unknown>, message: RegExp): Promise<void> =>
        assert.rejects(said, (error: unknown) => {
          assert.ok(error instanceof WorkflowUpdateFailedError, String(error));
          assert.match(findFailure(error)?.message ?? '', message);
          return true;
        });
      await unheard(say(' '), /does not say who speaks/);
      const heard = (await say('carl')) as { by: string; titles: string[] };
      assert.equal(heard.by, 'carl');
      assert.match(heard.titles.join(), /waits for approval/);
      await unheard(say('dora'), /carl has acknowledged it already/);
      await toldAtLeast(run, 6);
      const { evidence } = await pendingOf(run);
      await skipTime(world.client, run.handle.workflowId);
      await assert.rejects(run.handle.result());
      assert.equal(evidence.hash.length, 64);
      const states = run.of('notify').map(({ to, state, body }) => (state === 'acknowledged' ? `${to}: ${body}` : ''));
      assert.deepEqual(
        states.filter(Boolean).toSorted(),
        ['chat', 'mail', 'pager'].map((to) => `${to}: carl is at it.`),
      );
      assert.ok(!told(run).some((each) => /not acknowledged: .* waits for approval/.test(each)));
      const [report] = run.of('writeReport');
      assert.ok(report?.events.some(({ what }) => what.startsWith('carl acknowledges: ')));
    });

    await t.test('approved in time, or cancelled: it is over for everybody, and nothing is left', async () => {
      for (const end of ['approved', 'cancelled'] as const) {
        const run = await waiting(world);
        await toldAtLeast(run, 3);
        const { evidence } = await pendingOf(run);
        if (end === 'approved') await approve(run, { by: 'ben', hash: evidence.hash });
        else await run.handle.cancel();
        await run.handle.result().catch(() => undefined);
        assert.deepEqual(told(run).slice(3).map((each) => each.split(':')[0]).toSorted(), ['chat over', 'mail over', 'pager over']); // prettier-ignore
        assert.ok(!(await isThere(left(world, run))), end);
      }
    });

    await t.test('one that is down keeps nobody waiting: what it was not told is told from outside', async () => {
      let isDown = true;
      const notify: Script['notify'] = ({ to = '' }) => {
        if (to === 'pager' && isDown) throw failure('Unavailable', 'pager of the test is away');
        return { told: [to], failed: [] };
      };
      const run = await verifying(world, { ...telling, notify, verifyPoint: broken });
      isDown = false;
      const follow = left(world, run);
      const attempts = run.of('notify').filter(({ to }) => to === 'pager').length;
      await toldAtLeast(run, 2 + attempts + 1);
      assert.equal(
        new Set(
          run
            .of('notify')
            .filter(({ to }) => to === 'pager')
            .map(({ key }) => key),
        ).size,
        1,
      );
      assert.equal(run.of('notify').filter(({ to }) => to === 'chat').length, 1);
      await follow.executeUpdate(ackUpdate, { args: [{ by: 'anna' }] });
      await follow.signal(overSignal);
      await follow.result();
      assert.deepEqual(told(run).filter((each) => / over: /.test(each)).map((each) => each.split(' ')[0]).toSorted(), ['chat', 'mail', 'pager']); // prettier-ignore
    });

    const downFor = (attempts: number): NonNullable<Script['notify']> => {
      let left = attempts;
      return ({ to = '', state }) => {
        if (to === 'pager' && state === 'open' && left-- > 0) throw failure('Unavailable', 'pager of the test is away');
        return { told: [to], failed: [], thread: `thread of ${to}` };
      };
    };
    /** It has heard that the pager was told, not that it was tried only. */
    const isPaged = async (handle: TestRun['handle']): Promise<boolean> => {
      const { events } = await handle.fetchHistory();
      return (events ?? []).some(({ activityTaskCompletedEventAttributes: done }) => Buffer.from(done?.result?.payloads?.[0]?.data ?? '').toString().includes('"pager"')); // prettier-ignore
    };
    const pagedIn = (run: TestRun): (string | undefined)[] => run.of('notify').filter(({ to }) => to === 'pager').map(({ state }) => state); // prettier-ignore

    await t.test('one that is away for hours is told when it is back, and of the end behind that', async () => {
      const run = await verifying(world, { ...telling, notify: downFor(17), verifyPoint: broken });
      const follow = left(world, run);
      await skipTime(world.client, follow.workflowId);
      while (!(await isPaged(follow))) await run.handle.describe();
      const events = (await follow.fetchHistory()).events ?? [];
      const late = (await timersOf(follow)).filter((seconds) => seconds === 300 || seconds === 1800);
      assert.ok(late.length >= 1 && events.length < 200, `${late.join()} ${events.length}`);
      await follow.signal(overSignal);
      await follow.result();
      assert.deepEqual(pagedIn(run).slice(-2), ['open', 'over']);
    });

    await t.test('what is over before it could be told is never told', async () => {
      const run = await verifying(world, { ...telling, notify: downFor(Infinity), verifyPoint: broken });
      const follow = left(world, run);
      await skipTime(world.client, follow.workflowId);
      while (pagedIn(run).length < 17) await run.handle.describe();
      await follow.signal(overSignal);
      await follow.result();
      assert.ok(pagedIn(run).every((state) => state === 'open'));
      assert.deepEqual(told(run).filter((each) => / over: /.test(each)).map((each) => each.split(' ')[0]).toSorted(), ['chat', 'mail']); // prettier-ignore
    });

    await t.test('one that refuses for good is named on the run, and nobody hears its end', async () => {
      const notify: Script['notify'] = ({ to = '' }) =>
        to === 'chat' ? { told: [], failed: [to] } : { told: [to], failed: [] };
      const run = await verifying(world, { ...telling, notify, verifyPoint: broken });
      assert.ok((await run.progress()).timeline.some(({ what }) => what === 'not told: chat'));
      const follow = left(world, run);
      await follow.signal(overSignal);
      await follow.result();
      assert.deepEqual(told(run).filter((each) => / over: /.test(each)).map((each) => each.split(' ')[0]).toSorted(), ['mail', 'pager']); // prettier-ignore
    });

    await t.test('a run with nobody to tell starts nothing, and has nothing to acknowledge', async () => {
      const describeSource: Script['describeSource'] = ({ source }) =>
        factsOf(source, { notify: false, notifiers: [] });
      const run = await verifying(world, { describeSource, verifyPoint: broken });
      assert.deepEqual(told(run), []);
      assert.ok(!(await isThere(left(world, run))));
    });
  });
});
